"""Functions learned piece by piece."""
