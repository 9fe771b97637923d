"""What the compared methods need beyond what all share: one object a method."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.stages.configuration import StageConfiguration


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MaskedConfiguration(_Frozen):
    """Adapters in two places of every layer under hard attention to the task (Serra et al. 2018).

    `sparsity` weighs the share of new units that a marketplace opens. `max_scale` is where the annealing of the
    masks ends in every epoch. The masks' embeddings have a learning rate of their own: a unit changes sides only
    when its embedding crosses zero, which the weights' rate would take too long for.
    """

    bottleneck: int = Field(default=64, ge=1)
    max_scale: float = Field(default=400.0, gt=1)
    sparsity: float = Field(default=0.75, ge=0)
    mask_learning_rate: float | None = Field(default=None, gt=0, description="the stage's own rate where none")
    stage: StageConfiguration = StageConfiguration()

    @model_validator(mode="after")
    def _nothing_moves_by_itself(self) -> MaskedConfiguration:
        if self.stage.weight_decay > 0:
            raise ValueError("stage.weight_decay would change weights that older marketplaces use: set it to 0")
        return self


class HatConfiguration(MaskedConfiguration):
    """HAT: nothing but masked adapters."""


class CapsuleConfiguration(MaskedConfiguration):
    """A capsule of `capsule_size` numbers per task and token, which predicts `semantic_capsules` of them.

    Capsules and routing have a learning rate of their own: at an adapter's, what they share is noise to it.
    """

    routing_learning_rate: float | None = Field(default=None, gt=0, description="the stage's own where none")
    capsule_size: int = Field(default=3, ge=1)
    semantic_capsules: int = Field(default=3, ge=1)


class BclConfiguration(CapsuleConfiguration):
    """B-CL (Ke et al. 2021b): dynamic routing."""

    routing_iterations: int = Field(default=3, ge=1, le=20)


class CtrConfiguration(CapsuleConfiguration):
    """CTR (Ke et al. 2021a): transfer routing, by convolutions with `channels` each."""

    channels: int = Field(default=100, ge=1)


class DytoxConfiguration(_Frozen):
    """DyTox (Douillard et al. 2022) in a text form: task attention over a shared encoder."""

    divergence_weight: float = Field(default=0.1, ge=0)
    distillation_weight: float = Field(default=1.0, ge=0)
    stage: StageConfiguration = StageConfiguration(learning_rate=5e-5, dropout=True)
