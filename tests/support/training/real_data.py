"""Where the tests find real data that is not part of the repository."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support import REPOSITORY

_BESIDE_THE_REPOSITORY = REPOSITORY / ".." / "shared" / "data"


def real_data(part: str) -> Path:
    """The path of `part` in the folder that RELEVANCE_DATA names; the test is skipped where it is missing."""
    folder = os.environ.get("RELEVANCE_DATA")
    path = (Path(folder) if folder else _BESIDE_THE_REPOSITORY) / part
    if not path.exists():
        pytest.skip(f"no {part}: set RELEVANCE_DATA to a folder that has it")
    return path


_CATEGORIES = {
    "fr": ("Furniture", "Móveis"),
    "fr-1": ("Shelving", "Prateleiras"),
    "fr-1-1": ("Bookcases", "Estantes"),
    "fr-1-2": ("Wall shelves", "Prateleiras de parede"),
    "fr-2": ("Tables", "Mesas"),
    "fr-2-1": ("Desks", "Escrivaninhas"),
    "fr-2-2": ("Coffee tables", "Mesas de centro"),
    "tg": ("Toys", "Brinquedos"),
    "tg-1": ("Puzzles", "Quebra-cabeças"),
    "tg-2": ("Dolls", "Bonecas"),
}
_COLORS = {
    "black": ("Black", "Preto"),
    "red": ("Red", "Vermelho"),
    "blue": ("Blue", "Azul"),
    "other": ("Other", "Outro"),
}
_MATERIALS = {"oak": ("Oak", "Carvalho"), "steel": ("Steel", "Aço"), "glass": ("Glass", "Vidro")}
_TREE_ATTRIBUTES = "  attributes:\n  - color\n  - furniture/fixture_material\n  - unknown_attribute\n"


def write_tiny_taxonomy(folder: Path) -> Path:
    for place, locale in enumerate(("en", "pt-BR")):
        dist = folder / "dist" / locale
        dist.mkdir(parents=True)
        (dist / "categories.txt").write_text(_categories_text(place), encoding="utf-8")
        (dist / "attributes.json").write_text(json.dumps(_attributes(place)), encoding="utf-8")
    tree = folder / "data" / "categories"
    tree.mkdir(parents=True)
    for vertical in ("fr", "tg"):
        ids = [category for category in _CATEGORIES if category.split("-")[0] == vertical]
        text = "".join(f"- id: {category}\n  name: x\n  children: []\n{_TREE_ATTRIBUTES}" for category in ids)
        (tree / f"{vertical}.yml").write_text(f"---\n{text}", encoding="utf-8")
    return folder


def _categories_text(place: int) -> str:
    lines = ["# Tiny taxonomy", "# Format: {GID} : {Ancestor name} > ... > {Category name}", ""]
    for category in _CATEGORIES:
        parts = category.split("-")
        path = [_CATEGORIES["-".join(parts[: depth + 1])][place] for depth in range(len(parts))]
        lines.append(f"gid://shopify/TaxonomyCategory/{category:<10} : {' > '.join(path)}")
    return "\n".join(lines) + "\n"


def _attributes(place: int) -> dict[str, object]:
    return {
        "version": "tiny",
        "attributes": [
            _attribute("color", ("Color", "Cor")[place], _COLORS, place, []),
            _attribute(
                "material",
                "Material",
                _MATERIALS,
                place,
                [
                    {
                        "name": ("Furniture material", "Material do móvel")[place],
                        "handle": "furniture-fixture-material",
                    }
                ],
            ),
        ],
    }


def _attribute(
    handle: str, name: str, values: dict[str, tuple[str, str]], place: int, extended: list[dict[str, str]]
) -> dict[str, object]:
    return {
        "id": f"gid://shopify/TaxonomyAttribute/{handle}",
        "name": name,
        "handle": handle,
        "description": "x",
        "extended_attributes": extended,
        "values": [
            {"id": f"gid://{handle}/{value}", "name": names[place], "handle": f"{handle}__{value}"}
            for value, names in values.items()
        ],
    }
