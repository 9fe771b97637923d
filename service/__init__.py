"""Loads the newest model version, scores pairs, fills and reads the offline cache."""
