"""Claims about networks that write the weights of others."""
