"""The embedded stack: real servers from the package index, started and stopped together."""
