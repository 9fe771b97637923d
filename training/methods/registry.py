"""Every compared method by the name that plans give it."""

from __future__ import annotations

from collections.abc import Mapping

from training.methods.adapter import Adapter
from training.methods.adapter_fusion_joint import AdapterFusionJoint
from training.methods.attention_distillation import AttentionDistillation, AttentionDistillationTranslation
from training.methods.base import Method
from training.methods.dytox.method import Dytox
from training.methods.masked.b_cl import Bcl
from training.methods.masked.ctr import Ctr
from training.methods.masked.hat import Hat
from training.methods.sequential_finetuning import SequentialFinetuning
from training.methods.single_marketplace import SingleMarketplace

_METHODS: tuple[type[Method], ...] = (
    SingleMarketplace,
    SequentialFinetuning,
    Adapter,
    AdapterFusionJoint,
    Hat,
    Bcl,
    Ctr,
    Dytox,
    AttentionDistillation,
    AttentionDistillationTranslation,
)

METHODS: Mapping[str, type[Method]] = {method.name: method for method in _METHODS}
