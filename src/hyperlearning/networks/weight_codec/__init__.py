"""Autoencoders over vectors of weights."""
