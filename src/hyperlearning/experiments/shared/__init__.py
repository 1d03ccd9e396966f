"""What several experiments are made of. Nothing here is an experiment."""
