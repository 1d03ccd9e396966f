"""What every layer stands on: named parameters, losses, seeds, settings and files."""
