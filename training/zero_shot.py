"""The untrained encoder's cosine: the baseline that everything trained must beat."""

from __future__ import annotations

import numpy as np
import torch

from model_store.fast_products import FastProducts
from model_store.network import RelevanceNetwork
from model_store.pair_batch import PRODUCT_SEGMENT, QUERY_SEGMENT
from model_store.pair_network import Route
from model_store.pair_tokens import PairTokenizer
from model_store.scoring import encoded_texts
from training.labelled_tokens import LabelledTokens


def zero_shot_cosine(network: RelevanceNetwork, tokenizer: PairTokenizer, data: LabelledTokens) -> np.ndarray:
    """(N) cosine of the mean-pooled query and product, each encoded on its own without any adapter."""
    was_training = network.training
    network.eval()
    with torch.inference_mode(), FastProducts():
        queries = encoded_texts(network, tokenizer, data.tokenized.queries, QUERY_SEGMENT, Route())
        products = encoded_texts(network, tokenizer, data.tokenized.products, PRODUCT_SEGMENT, Route())
        queries = torch.nn.functional.normalize(queries, dim=-1).cpu()
        products = torch.nn.functional.normalize(products, dim=-1).cpu()
        cosine = queries[data.tokenized.query_index] * products[data.tokenized.product_index]
    network.train(was_training)
    result: np.ndarray = cosine.sum(-1).numpy()
    return result
