"""The shapes and choices of a relevance network that its weights alone do not tell."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class HeadConfiguration(BaseModel):
    """The classification head on top of the encoder.

    `similarity` takes [q, p, |q - p|, q * p, cosine] of the normalised token means and starts as the cosine;
    `linear` is the paper's: one linear layer on the first token or on the mean of the tokens.
    `policy` is `shared` (one head, trained on at every step) or `per_step` (every step adds a head for its
    marketplace; older marketplaces keep theirs).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["similarity", "linear"] = "similarity"
    pooling: Literal["mean", "first_token"] = "mean"
    policy: Literal["shared", "per_step"] = "shared"


class AdapterConfiguration(BaseModel):
    """A Pfeiffer bottleneck adapter (`seq_bn` of the `adapters` library), one per marketplace.

    `layers` is how many of the encoder's layers, from the top, a new adapter changes (all by default). Below
    them it adds nothing, and is not trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bottleneck: int = Field(default=32, ge=1, le=4096)
    layers: int | None = Field(default=None, ge=1)


class FusionConfiguration(BaseModel):
    """The fusion layer over all adapters (Pfeiffer et al. 2020a), one per encoder layer.

    `dropout` acts on the fusion's attention logits, as in the `adapters` library.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
