"""Hypernetworks as systems: what is learned, from settings to finished records."""
