"""From the texts of a pair to the tokens and batches that a network reads."""

from model_store.encoding.configuration import PairEncoding

__all__ = ["PairEncoding"]
