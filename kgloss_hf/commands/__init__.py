"""Commands of `kgloss`."""
