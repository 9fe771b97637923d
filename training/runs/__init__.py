"""One run over a sequence of marketplaces, and what it publishes."""
