"""From a step of a run to a published model version."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy

from model_store.base_encoders import parse_base_encoder
from model_store.manifest import (
    BaseEncoderReference,
    EvaluationSet,
    ManifestDraft,
    MarketplaceEntry,
    ProbePair,
    ThresholdReport,
)
from model_store.version_files import ADAPTERS, write_network
from training.languages import language_of

if TYPE_CHECKING:
    from training.continual import ContinualRun
    from training.continual_learner import StepResult

HISTOGRAM_BINS = 20
PROBE_PAIRS = 4
_LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "accelerate", "numpy", "scikit-learn")
