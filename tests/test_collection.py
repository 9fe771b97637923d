"""The tests' own names: processes that share the tests must find the same ones."""

from __future__ import annotations

import pytest


def test_no_test_is_named_after_compressed_bytes(request: pytest.FixtureRequest) -> None:
    """A gzip header carries the time of compression, unless `mtime` is given."""
    gzip_header, no_time = r"\x1f\x8b\x08\x00", r"\x1f\x8b\x08\x00\x00\x00\x00\x00"
    named = [item.nodeid for item in request.session.items if gzip_header in item.nodeid]
    assert [name for name in named if no_time not in name] == []
