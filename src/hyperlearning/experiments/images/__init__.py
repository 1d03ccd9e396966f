"""Claims about classes of images learned one after another."""
