"""Adapters folded into the layers around them: the network as it is served."""
