"""Networks of Deep Artificial Neurons, their phenotypes and what they are compared with."""
