"""The commands of `kgloss`."""
