"""The fill on a Ray cluster."""
