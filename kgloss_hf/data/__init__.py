"""Read, check and split pairs and texts."""
