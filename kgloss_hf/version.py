"""The version, apart from the rest of the package: reading it registers nothing."""

__version__ = "0.1.0"
