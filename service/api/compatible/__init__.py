"""Routes that speak what clients of other servers already speak."""
