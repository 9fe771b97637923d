"""How a query and a product meet: the configuration that is stored with every model version."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from model_store.product import ProductField

_LATE = re.compile(r"late\(([1-9][0-9]?)\)")


def _checked_interaction(value: str) -> str:
    if value in ("cross", "two_tower") or _LATE.fullmatch(value):
        return value
    raise ValueError("interaction is 'cross', 'two_tower' or 'late(k)' with k joint layers, e.g. 'late(3)'")


class PairEncoding(BaseModel):
    """How texts become tokens and where query and product see each other.

    `interaction` is `cross` (both texts in one sequence, every layer sees both), `two_tower` (each text sees
    only itself, positions restart, the token means meet in the head) or `late(k)` (two towers below, the last
    k layers joint).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    interaction: Annotated[str, AfterValidator(_checked_interaction)] = "two_tower"
    product_fields: tuple[ProductField, ...] = Field(default=("title",), min_length=1)
    query_prefix: str = ""
    product_prefix: str = ""
    max_query_tokens: int = Field(default=32, ge=4, le=512)
    max_product_tokens: int = Field(default=96, ge=4, le=4096)

    @property
    def kind(self) -> Literal["cross", "two_tower", "late"]:
        """The interaction without its number of joint layers."""
        if self.interaction == "cross":
            return "cross"
        return "two_tower" if self.interaction == "two_tower" else "late"

    @property
    def joint_layers(self) -> int:
        """Number of top layers that see both texts; only meaningful for `late(k)`."""
        match = _LATE.fullmatch(self.interaction)
        return int(match.group(1)) if match else 0
