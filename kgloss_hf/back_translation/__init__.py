"""Building the pretext corpus: Korean sentences, translated to another language and back."""
