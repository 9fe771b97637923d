"""What a label in somebody's file means: relevant (1) or not relevant (0)."""

from __future__ import annotations

from collections.abc import Collection

from model_store.errors import InputError

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
