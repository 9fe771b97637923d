"""What the compared methods need beyond what all share: one object a method."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from training.stage_configuration import StageConfiguration


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HatConfiguration(_Frozen):
    """Hard attention to the task (Serra et al. 2018), on adapters in two places of every layer."""

    bottleneck: int = Field(default=64, ge=1)
    max_scale: float = Field(default=400.0, gt=1)
    sparsity: float = Field(default=0.75, ge=0)
    stage: StageConfiguration = StageConfiguration()


class CapsuleConfiguration(_Frozen):
    """B-CL (Ke et al. 2021b) and CTR (Ke et al. 2021a): adapters with capsules in two places of every layer."""

    bottleneck: int = Field(default=64, ge=1)
    semantic_capsule_size: int = Field(default=3, ge=1)
    routing_iterations: int = Field(default=3, ge=1)
    max_scale: float = Field(default=400.0, gt=1)
    sparsity: float = Field(default=0.75, ge=0)
    stage: StageConfiguration = StageConfiguration()


class DytoxConfiguration(_Frozen):
    """DyTox (Douillard et al. 2022) in a text form: task attention over a shared encoder."""

    divergence_weight: float = Field(default=0.1, ge=0)
    distillation_weight: float = Field(default=1.0, ge=0)
    stage: StageConfiguration = StageConfiguration(learning_rate=5e-5, dropout=True)
