"""Networks that are a signal: from coordinates to what is there."""
