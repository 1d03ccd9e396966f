"""Networks that a meta-learned part prepares or gates: OML and ANML."""
