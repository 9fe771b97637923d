"""Translators behind one interface, with an on-disk cache by content."""
