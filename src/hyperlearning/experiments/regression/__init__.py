"""Claims about functions learned piece by piece."""
