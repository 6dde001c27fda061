"""Publish models, tokenizers and data sets on the Hub."""
