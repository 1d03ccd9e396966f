"""Claims about active learning."""
