"""What a model version is: its manifest, weights, promotion, and the store of all of them."""
