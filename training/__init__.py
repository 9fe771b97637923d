"""Labelled pairs in, a new model version out."""
