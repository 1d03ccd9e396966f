"""Modules that know no task, a folder a family: Deep Artificial Neurons, gated networks and converted models."""
