"""From tensors to lives: what a network meets, in which order, and what its losses are measured on."""
