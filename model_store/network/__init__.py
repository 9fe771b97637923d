"""The relevance network: frozen encoder, adapters, fusion, head, and how it scores."""

from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration

__all__ = ["AdapterConfiguration", "FusionConfiguration", "HeadConfiguration"]
