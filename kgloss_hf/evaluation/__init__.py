"""Score predictions and baselines."""
