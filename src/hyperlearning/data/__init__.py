"""From a source to tensors: the catalogue of image sets, fetched, verified and prepared once, and mixtures of sines."""
