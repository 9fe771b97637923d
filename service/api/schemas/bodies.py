"""What all bodies of our own routes have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class RequestBody(BaseModel):
    """Strict: no field that is unknown, no value that would have to be converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class AnswerBody(BaseModel):
    """Fields may begin with `model_`."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())
