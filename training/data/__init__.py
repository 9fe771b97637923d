"""Readers and generators of labelled query-product pairs, and their splits."""

from model_store.tables.columns import ColumnMapping
from training.data.esci.flat import read_esci
from training.data.pairs import RelevancePair
from training.data.sources import DataSource, parse_source
from training.data.splits import Splits, check_trainable, read_pairs, split_by_query, write_pairs
from training.data.table import read_labelled, read_unlabelled
from training.data.taxonomy.source import generate_taxonomy_pairs, taxonomy_phrases

__all__ = [
    "ColumnMapping",
    "DataSource",
    "RelevancePair",
    "Splits",
    "check_trainable",
    "generate_taxonomy_pairs",
    "parse_source",
    "read_esci",
    "read_labelled",
    "read_pairs",
    "read_unlabelled",
    "split_by_query",
    "taxonomy_phrases",
    "write_pairs",
]
