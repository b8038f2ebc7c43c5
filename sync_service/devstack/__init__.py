"""The embedded stack: real servers from the package index, started, watched and stopped together."""
