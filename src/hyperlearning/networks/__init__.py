"""See `docs/design.md` for what this layer holds."""
