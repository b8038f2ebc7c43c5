"""Emulated providers: servers of their own, for development, tests and the demo."""
