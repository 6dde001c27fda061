"""Interfaces of other projects, served with this package's glosses."""
