"""The files of a localised product taxonomy, in the layout of Shopify's public one.

    data/categories/*.yml           attributes of every category, by category id
    dist/<locale>/categories.txt    localised category paths, by category id
    dist/<locale>/attributes.json   localised attributes and their values

A category id such as `fr-1-2` tells its parent (`fr-1`) and its vertical (`fr`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from model_store.errors import InputError
from model_store.tables.lines import iter_lines

_CATEGORY = re.compile(r"gid://\S+/([a-z]+(?:-\d+)*)\s+: (\S.*)")


class TaxonomyValue(BaseModel):
    """A value of an attribute: the id is the same in every locale."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    handle: str


class ExtendedAttribute(BaseModel):
    """Another name of an attribute for some categories, with the same values."""

    model_config = ConfigDict(frozen=True)

    name: str
    handle: str


class TaxonomyAttribute(BaseModel):
    """An attribute with its localised name and values."""

    model_config = ConfigDict(frozen=True)

    name: str
    handle: str
    extended_attributes: tuple[ExtendedAttribute, ...] = ()
    values: tuple[TaxonomyValue, ...]


class _Attributes(BaseModel):
    attributes: tuple[TaxonomyAttribute, ...]


class _TreeCategory(BaseModel):
    id: str
    attributes: tuple[str, ...] | None


_ATTRIBUTES = TypeAdapter(_Attributes)
_TREE = TypeAdapter(list[_TreeCategory])


def taxonomy_locales(folder: Path) -> dict[str, Path]:
    """Return the folder of every locale under `dist/`, by the locale's name in small letters.

    Raises:
        InputError: there is none.
    """
    found = {path.parent.name.lower(): path.parent for path in (folder / "dist").glob("*/categories.txt")}
    if not found:
        raise InputError(
            "no localised taxonomy: no dist/<locale>/categories.txt; give the taxonomy's top folder",
            source=str(folder),
        )
    return dict(sorted(found.items()))


def locale_folder(folder: Path, locale: str) -> Path:
    """Return the folder of one locale.

    Raises:
        InputError: no such locale; lists those there are.
    """
    locales = taxonomy_locales(folder)
    if locale.lower() not in locales:
        raise InputError(f"no locale {locale!r}; there are {', '.join(locales)}", source=str(folder / "dist"))
    return locales[locale.lower()]


def read_category_names(path: Path) -> dict[str, str]:
    """Return the localised name of every category by its id, in the file's order.

    Raises:
        InputError: no such file, or a line that is no `id : path` under a parent; names file and line.
    """
    names: dict[str, str] = {}
    for row, line in iter_lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        match = _CATEGORY.fullmatch(line.rstrip())
        if match is None:
            raise InputError(f"{line[:60]!r} is no 'id : path of names'", source=str(path), row=row)
        category, parent = match.group(1), match.group(1).rpartition("-")[0]
        if parent and parent not in names:
            raise InputError(f"{category!r} comes without its parent {parent!r}", source=str(path), row=row)
        names[category] = match.group(2).rpartition(" > ")[2].strip()
    return names


def read_attributes(path: Path) -> tuple[TaxonomyAttribute, ...]:
    """Return the localised attributes.

    Raises:
        InputError: no such file, no JSON, or not of the expected form; names file and line or field.
    """
    try:
        return _ATTRIBUTES.validate_python(json.loads(_text_of(path))).attributes
    except json.JSONDecodeError as error:
        raise InputError(
            f"no valid JSON ({error.msg}); copy it again", source=str(path), row=error.lineno
        ) from error
    except RecursionError as error:
        raise InputError("no valid JSON (nested too deeply); copy it again", source=str(path)) from error
    except ValidationError as error:
        raise _form_error(error, path) from error


def read_category_attributes(folder: Path) -> Mapping[str, tuple[str, ...]]:
    """Return the handles of every category's attributes by category id, from `data/categories/*.yml`.

    The files are big: while they do not change they are parsed once in a process.

    Raises:
        InputError: no such files, no YAML, or not of the expected form; names file and line or field.
    """
    paths = sorted((folder / "data" / "categories").glob("*.yml"))
    if not paths:
        raise InputError("no data/categories/*.yml; give the taxonomy's top folder", source=str(folder))
    return _parsed_tree(tuple((path, path.stat().st_mtime_ns) for path in paths))


@lru_cache(maxsize=2)
def _parsed_tree(stamped: tuple[tuple[Path, int], ...]) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType(
        {
            category.id: tuple(_handle_of(name) for name in category.attributes or ())
            for path, _ in stamped
            for category in _tree_file(path)
        }
    )


def _tree_file(path: Path) -> list[_TreeCategory]:
    # libyaml is ten times as fast; a build of PyYAML without it gives the same result.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _TREE.validate_python(yaml.load(_text_of(path), Loader=loader))  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError) as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        raise InputError(
            f"no valid YAML ({error}); copy it again",
            source=str(path),
            row=mark.line + 1 if mark else None,
        ) from error
    except ValidationError as error:
        raise _form_error(error, path) from error


def _handle_of(name: str) -> str:
    """`furniture/fixture_material` in the tree is `furniture-fixture-material` in the attributes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _text_of(path: Path) -> str:
    return "\n".join(line for _, line in iter_lines(path))


def _form_error(error: ValidationError, path: Path) -> InputError:
    first = error.errors(include_url=False)[0]
    return InputError(
        f"not of a taxonomy's form ({first['msg']}); copy it again",
        source=str(path),
        field=".".join(map(str, first["loc"])) or None,
    )
