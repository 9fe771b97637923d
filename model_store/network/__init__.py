"""The relevance network: frozen encoder, adapters, fusion, head, and how it scores."""
