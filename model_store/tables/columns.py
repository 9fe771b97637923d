"""Which column of a user's table holds what, and what its labels mean: made once from a file, never changed."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from model_store.errors import InputError
from model_store.tables.lines import iter_lines
from model_store.text import checked_marketplace

ESCI_POSITIVE = ("E", "S")
ESCI_NEGATIVE = ("C", "I")

POSITIVE_LABELS = ("1", "true", *ESCI_POSITIVE, "exact", "substitute")
NEGATIVE_LABELS = ("0", "false", *ESCI_NEGATIVE, "complement", "irrelevant")


class LabelReader:
    """Turns label texts into 1 and 0; case does not matter, and 1.0 is 1.

    ESCI's exact (E) and substitute (S) are relevant, complement (C) and irrelevant (I) are not.
    """

    def __init__(
        self, positive: Collection[str] = POSITIVE_LABELS, negative: Collection[str] = NEGATIVE_LABELS
    ) -> None:
        self._shown = f"relevant: {', '.join(positive)}; not relevant: {', '.join(negative)}"
        self._labels = {canonical_label(text): 1 for text in positive}
        self._labels |= {canonical_label(text): 0 for text in negative}

    def read(self, text: str, *, source: str, row: int, field: str) -> int:
        """Return 1 or 0.

        Raises:
            InputError: neither a positive nor a negative label; names file, row and field.
        """
        label = self._labels.get(canonical_label(text))
        if label is None:
            raise InputError(
                f"unknown label {text[:40]!r}; known are {self._shown}", source=source, row=row, field=field
            )
        return label


def canonical_label(text: str) -> str:
    """Return the form in which labels are compared: no case, no white space around, `1` for `1.0`."""
    return text.strip().casefold().removesuffix(".0")


KNOWN_NAMES = {
    "marketplace": ("marketplace", "product_locale", "locale"),
    "query": ("query",),
    "product_id": ("product_id", "id"),
    "product_title": ("product_title", "title"),
    "product_brand": ("product_brand", "brand"),
    "product_color": ("product_color", "color"),
    "product_bullet_points": ("product_bullet_points", "product_bullet_point", "bullet_points"),
    "product_description": ("product_description", "description"),
    "label": ("label", "esci_label"),
}
"""Column names that are understood without a mapping, the first that a file has being taken."""


def _as_text(value: object) -> object:
    # YAML and JSON read 0, 1 and true as numbers and truth values; a label is what stands in the file.
    return json.dumps(value) if isinstance(value, int | float) else value


_Label = Annotated[str, BeforeValidator(_as_text)]


class ColumnMapping(BaseModel):
    """Columns of a table; one left out is looked for under the names of `KNOWN_NAMES`.

    `marketplace` is one name for all rows of a file that has no such column; `marketplace_column` names the
    column otherwise. Labels are compared without case; the defaults understand 0/1, true/false and ESCI.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    marketplace: str | None = None
    marketplace_column: str | None = None
    query: str | None = None
    product_id: str | None = None
    product_title: str | None = None
    product_brand: str | None = None
    product_color: str | None = None
    product_bullet_points: str | None = None
    product_description: str | None = None
    label: str | None = None
    positive_labels: tuple[_Label, ...] = POSITIVE_LABELS
    negative_labels: tuple[_Label, ...] = NEGATIVE_LABELS

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.marketplace is not None and self.marketplace_column is not None:
            raise ValueError("give either marketplace (one for all rows) or marketplace_column")
        if len({"positive_labels", "negative_labels"} & self.model_fields_set) == 1:
            raise ValueError("give positive_labels and negative_labels together")
        both = _canonical(self.positive_labels) & _canonical(self.negative_labels)
        if both:
            raise ValueError(f"{sorted(both)} are positive as well as negative labels")
        return self

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a mapping from a YAML or JSON file.

        Raises:
            InputError: unreadable, no mapping, an unknown name or a wrong value; names file, line or field.
        """
        text = "\n".join(line for _, line in iter_lines(path))
        try:
            # The base loader leaves `no` and `1` the texts they are: `marketplace: no` is Norway.
            values: object = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes only texts
            mapping = cls.model_validate(values or {})
        except (yaml.YAMLError, RecursionError) as error:
            mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
            raise InputError(
                f"no valid YAML or JSON ({error}); correct it",
                source=str(path),
                row=mark.line + 1 if mark else None,
            ) from error
        except ValidationError as error:
            raise _mapping_error(error, path) from error
        if mapping.marketplace is not None:
            checked_marketplace(mapping.marketplace, source=str(path))
        return mapping

    def named(self, field: str) -> str | None:
        """The column that the mapping itself names for `field`, a key of `KNOWN_NAMES`."""
        name: str | None = getattr(self, "marketplace_column" if field == "marketplace" else field)
        return name

    def names_of(self, field: str) -> tuple[str, ...]:
        """What the column of `field` may be called: what the mapping says, else the names of `KNOWN_NAMES`."""
        name = self.named(field)
        return KNOWN_NAMES[field] if name is None else (name,)


def _canonical(labels: Collection[str]) -> set[str]:
    return {canonical_label(label) for label in labels}


def _mapping_error(error: ValidationError, path: Path) -> InputError:
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else None
    known = ", ".join(ColumnMapping.model_fields)
    return InputError(
        f"no valid column mapping ({first['msg']}); known names are {known}", source=str(path), field=field
    )
