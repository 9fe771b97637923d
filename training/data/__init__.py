"""Readers of labelled query-product pairs, and their splits."""
