"""From any PyTorch module to Deep Artificial Neurons."""
