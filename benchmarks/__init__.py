"""Measurements of the product side by side with its peers: ratios in one run, with data, seeds and hardware."""
