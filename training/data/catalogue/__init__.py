"""The bundled catalogue: generated, judged query-product pairs in six marketplaces."""

from training.data.catalogue.generator import generate_candidates, generate_judged, generate_pairs
from training.data.catalogue.judgement import Esci
from training.data.catalogue.marketplaces import MARKETPLACES
from training.data.catalogue.noise import NO_NOISE, Noise

__all__ = [
    "MARKETPLACES",
    "NO_NOISE",
    "Esci",
    "Noise",
    "generate_candidates",
    "generate_judged",
    "generate_pairs",
]
