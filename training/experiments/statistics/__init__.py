"""Means, intervals and tests over runs."""
