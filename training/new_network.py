"""The network a run begins with."""

from __future__ import annotations

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.encoding.tokens import PairTokenizer
from model_store.network.relevance_network import RelevanceNetwork
from training.configuration import TrainingConfiguration


def new_network(configuration: TrainingConfiguration) -> tuple[RelevanceNetwork, PairTokenizer]:
    """The base encoder without any adapter or head, and its tokenizer."""
    encoder, tokenizer = parse_base_encoder(configuration.base_encoder).load()
    network = RelevanceNetwork(
        encoder, configuration.pair_encoding, configuration.adapter, configuration.fusion, configuration.head
    )
    positions = int(encoder.config.max_position_embeddings)
    return network, PairTokenizer(tokenizer, configuration.pair_encoding, positions)
