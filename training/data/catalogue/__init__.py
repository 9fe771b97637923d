"""The bundled catalogue: generated, judged query-product pairs in six marketplaces, and their translator."""

from training.data.catalogue.generator import generate_candidates, generate_judged, generate_pairs
from training.data.catalogue.judgement import Esci
from training.data.catalogue.marketplaces import MARKETPLACES
from training.data.catalogue.noise import NO_NOISE, Noise
from training.data.catalogue.translator import CatalogueTranslator

__all__ = [
    "MARKETPLACES",
    "NO_NOISE",
    "CatalogueTranslator",
    "Esci",
    "Noise",
    "generate_candidates",
    "generate_judged",
    "generate_pairs",
]
