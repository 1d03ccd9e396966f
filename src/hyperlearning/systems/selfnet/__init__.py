"""Self-Net: networks of many tasks in one store, and every other way to keep them."""
