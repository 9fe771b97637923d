"""How one stage is optimised."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class StageConfiguration(BaseModel):
    """Optimisation of one stage. Adam; a batch is cut into micro-batches by the token budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=5, ge=1, le=1000)
    min_steps: int = Field(
        default=0, ge=0, description="more epochs for a small set; no earlier weights are kept"
    )
    batch_size: int = Field(default=64, ge=1, description="pairs per optimiser step")
    learning_rate: float = Field(default=5e-4, gt=0)
    head_learning_rate: float | None = Field(default=None, gt=0, description="the stage's own rate where none")
    schedule: Literal["constant", "linear"] = "linear"
    warmup_share: float = Field(default=0.1, ge=0, le=0.5, description="share of the steps")
    weight_decay: float = Field(default=0.0, ge=0)
    adam_epsilon: float = Field(default=1e-8, gt=0)
    gradient_clipping: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    patience: int = Field(default=3, ge=1, description="epochs without a better validation ROC-AUC")
    tolerance: float = Field(default=0.0, ge=0, lt=0.5, description="a later epoch this little worse is kept")
    dropout: bool = Field(default=False, description="whether the frozen encoder's dropout acts")
