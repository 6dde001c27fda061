"""Train models and tokenizers."""
