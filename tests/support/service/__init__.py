"""A service, its commands and its servers."""
