from __future__ import annotations

import numpy as np

from service.fill.candidates.query_log import DIGEST_TYPE, QueryDigests, query_digest


def digests_of(*digests: bytes) -> QueryDigests:
    return QueryDigests(np.array(sorted(digests), DIGEST_TYPE))


def test_exactly_the_queries_put_in_are_found() -> None:
    chosen = [query_digest(f"query {number}") for number in range(20_000)]
    held = digests_of(*chosen)
    assert len(held) == 20_000
    assert all(digest in held for digest in chosen)
    assert not any(query_digest(f"other {number}") in held for number in range(20_000))


def test_the_end_of_one_and_the_start_of_the_next_are_no_digest() -> None:
    first, second = b"ab" + b"\x01" * 6 + b"ab" + b"\x02" * 6, b"ab" + b"\x03" * 6 + b"ab" + b"\x04" * 6
    held = digests_of(first, second)
    assert first[8:] + second[:8] not in held
    assert first in held
    assert second in held
    third = first[8:] + second[:8]
    assert third in digests_of(first, second, third)


def test_digests_that_end_in_zeros_are_found() -> None:
    digest = b"\x00\x01" + b"\x00" * 14
    assert digest in digests_of(digest)
    assert bytes(16) not in digests_of(digest)


def test_the_fingerprint_follows_from_set_and_salt() -> None:
    a, b = query_digest("a"), query_digest("b")
    one = digests_of(a, b).fingerprint(salt="s")
    assert one == digests_of(b, a).fingerprint(salt="s")
    assert len({one, digests_of(a).fingerprint(salt="s"), digests_of(a, b).fingerprint(salt="t")}) == 3
    assert query_digest("a") in digests_of(a)
    assert a not in digests_of()
