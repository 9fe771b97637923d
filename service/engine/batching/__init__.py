"""Which pairs are computed together, when, and how many requests may wait."""
