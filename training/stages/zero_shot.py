"""The untrained encoder's cosine: the baseline that everything trained must beat."""

from __future__ import annotations

import numpy as np
import torch

from model_store.encoding.tokens import PairTokenizer
from model_store.network.fast_products import FastProducts
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.network.scoring import DEFAULT_TOKEN_BUDGET, cosine_of_encoded, untrained_cosine
from training.stages.labelled_tokens import LabelledTokens


def zero_shot_cosine(network: RelevanceNetwork, tokenizer: PairTokenizer, data: LabelledTokens) -> np.ndarray:
    """(N) cosine of the mean-pooled query and product, each encoded on its own without any adapter.

    From the texts' states where there are any.
    """
    if data.states is None:
        return untrained_cosine(network, tokenizer, data.tokenized)
    was_training = network.training
    network.eval()
    with torch.inference_mode(), FastProducts():
        means = data.states.text_means(network, tokenizer, data.tokenized, Route(), DEFAULT_TOKEN_BUDGET)
        cosine = cosine_of_encoded(data.tokenized, *means)
    network.train(was_training)
    return cosine
