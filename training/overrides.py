"""`--set` options: dotted fields of a configuration, given on the command line."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from model_store.errors import ConfigurationError

Overrides = dict[str, object]


def parse_overrides(settings: Sequence[str], **named: object) -> Overrides:
    """Nested overrides from `field.of.field=value` texts; values are YAML. Named ones that are None are left out.

    Raises:
        ConfigurationError: an option without "=" or a value that is no YAML.
    """
    overrides: Overrides = {name: value for name, value in named.items() if value is not None}
    for setting in settings:
        path, separator, text = setting.partition("=")
        if not separator or not path:
            raise ConfigurationError(f"--set {setting!r}: write it as field=value, e.g. adapter_stage.epochs=3")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"--set {setting!r}: {text!r} is no value ({error})") from error
        _put(overrides, path.split("."), value, setting)
    return overrides


def merged(base: Overrides, overrides: Overrides) -> Overrides:
    """`base` with the overrides put in, field by field."""
    result = dict(base)
    for key, value in overrides.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _put(overrides: Overrides, path: Sequence[str], value: object, setting: str) -> None:
    place = overrides
    for part in path[:-1]:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigurationError(f"--set {setting!r}: {part!r} is set to a value already")
        place = inner
    place[path[-1]] = value
