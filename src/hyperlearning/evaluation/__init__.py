"""Scores and intervals, as pure functions."""
