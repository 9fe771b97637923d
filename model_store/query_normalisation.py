"""When two spellings of a query are one entry of the cache: a versioned rule, part of every key."""

from __future__ import annotations

import unicodedata

NORMALISATION_VERSION = 1
"""Raise it whenever `normalised_query` changes: entries of another rule are then never read."""


def normalised_query(query: str) -> str:
    """The query in NFKC, casefolded, with runs of white space as one space and none at the ends.

    Folding may leave a text that is no longer in NFKC, hence the second pass (Unicode's NFKC_Casefold,
    which also starts from NFD).
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", query).casefold())
    return " ".join(unicodedata.normalize("NFKC", folded.casefold()).split())
