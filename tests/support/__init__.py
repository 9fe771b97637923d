"""Helpers that tests of several packages share, and where the checkout is."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
