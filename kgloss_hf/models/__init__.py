"""Build vocabularies and models."""
