"""Active learning: what to ask for next, and who answers."""
