"""Glosses for other people's pipelines."""
