"""Classes of images learned one after another."""
