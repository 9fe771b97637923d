"""Labelled pairs on disk: one JSON object a line, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from model_store.errors import InputError
from model_store.files import replaced_path
from model_store.tables.lines import iter_lines
from training.data.pairs import RelevancePair

_PAIR = TypeAdapter(RelevancePair)


def write_pairs(path: Path, pairs: Iterable[RelevancePair]) -> None:
    """Write `pairs` as JSON lines; a reader sees the old file or the whole new one.

    Raises:
        InputError: a text holds a lone surrogate, which UTF-8 cannot carry; nothing is written.
    """
    with replaced_path(path) as temporary, temporary.open("xb") as file:
        file.writelines(_line_of(pair, source=str(path), row=row) for row, pair in enumerate(pairs, start=1))


def read_pairs(path: Path) -> list[RelevancePair]:
    """Read what `write_pairs` wrote, character by character the same.

    Raises:
        InputError: no such file, not UTF-8, or a line that is no pair; names file, row and field.
    """
    return [_pair_of(line, source=str(path), row=row) for row, line in iter_lines(path)]


def _line_of(pair: RelevancePair, *, source: str, row: int) -> bytes:
    text = json.dumps(asdict(pair), ensure_ascii=False)
    try:
        return text.encode("utf-8") + b"\n"
    except UnicodeEncodeError as error:
        raise InputError(
            "a text contains a lone surrogate and cannot be stored; decode the data with its real encoding",
            source=source,
            row=row,
        ) from error


def _pair_of(line: str, *, source: str, row: int) -> RelevancePair:
    try:
        pair = _PAIR.validate_json(line, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else None
        raise InputError(
            f"no stored pair ({first['msg']}); write the file again with this program",
            source=source,
            row=row,
            field=field,
        ) from error
    if pair.label not in (0, 1):
        raise InputError(
            f"the label is {pair.label}; only 0 and 1 are stored", source=source, row=row, field="label"
        )
    return pair
