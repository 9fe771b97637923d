"""Every compared method by the name that plans give it."""

from __future__ import annotations

from collections.abc import Mapping

from training.methods.base import Method

_METHODS: tuple[type[Method], ...] = ()

METHODS: Mapping[str, type[Method]] = {method.name: method for method in _METHODS}
