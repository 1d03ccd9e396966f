"""Claims about stores of networks."""
