"""Everything compiled: tensors in, tensors out; no kernel knows a network."""
