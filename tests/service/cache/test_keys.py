from __future__ import annotations

from service.cache.keys import LONGEST_QUERY_BYTES, entries_prefix, entry_key, query_part


def test_a_short_query_can_be_read_in_its_key() -> None:
    assert entry_key("us", 7, " USB  C cable") == "rc1n1:e:us:7:q:usb c cable"


def test_a_long_query_becomes_a_digest_of_fixed_size() -> None:
    first, second = query_part("x" * 5000), query_part("x" * 5001)
    assert first != second
    assert len(first) == len(second) == len("h:") + 32


def test_the_limit_is_counted_in_bytes() -> None:
    assert query_part("é" * (LONGEST_QUERY_BYTES // 2)).startswith("q:")
    assert query_part("é" * (LONGEST_QUERY_BYTES // 2) + "e").startswith("h:")


def test_a_query_that_looks_like_a_digest_is_no_other_querys_key() -> None:
    digest = query_part("x" * 5000)
    assert query_part(digest) == f"q:{digest}"


def test_a_generations_prefix_is_no_other_ones() -> None:
    assert not entry_key("us", 11, "a").startswith(entries_prefix("us", 1))
