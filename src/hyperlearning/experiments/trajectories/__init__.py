"""Claims about hundreds of classes learned one image at a time."""
