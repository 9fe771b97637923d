"""Everyday pairs to try the service with: anybody can tell what they should score."""

from __future__ import annotations

from model_store.versions.plain_probes import PlainProbe, plain_probes


def plain_pairs(language: str) -> list[tuple[str, str, str, int]]:
    """A query with one product for it and one that is not: query, product's id and title, label.

    In English where the language has no plain probes.
    """
    probe = plain_probe(language)
    return [
        (probe.query, "plain-1", probe.relevant, 1),
        (probe.query, "plain-2", probe.irrelevant[0], 0),
    ]


def plain_probe(language: str) -> PlainProbe:
    """The language's first plain probe of more than one word, as `usb cable`."""
    probes = plain_probes(language) or plain_probes("en")
    return next(probe for probe in probes if len(probe.query.split()) > 1)
