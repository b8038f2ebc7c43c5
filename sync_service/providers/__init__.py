"""Translators between our events and what a provider keeps; the engine knows only `base`."""
