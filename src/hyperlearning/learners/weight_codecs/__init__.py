"""Ways to keep many networks' weights in little memory: one class a way, all with one interface."""
