"""Pretext corpora: Korean sentences, translated to another language and back."""
