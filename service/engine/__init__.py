"""Loads a model version and scores pairs with it."""
