"""Networks that write the weights of others."""
