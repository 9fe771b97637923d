"""Where pairs come from, as one text on the command line.

catalogue            catalogue:3000              generated, rows per marketplace
taxonomy:FOLDER      taxonomy:FOLDER:3000        generated from a localised product taxonomy
table:FILE           table:FILE:MAPPING.yaml     a user's CSV, TSV, JSON lines or Parquet file
esci:PATH                                        a flat ESCI file or the official ESCI folder
PATH                                             recognised by its header or its file names

A path may begin with `$RELEVANCE_DATA`, the folder that this variable names.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from model_store.errors import ConfigurationError, InputError
from training.data.esci.flat import esci_locales, is_flat_esci, read_esci
from training.data.esci.official import is_official
from training.data.pairs import RelevancePair, contradictions
from training.data.table import ColumnMapping, read_labelled
from training.data.taxonomy.source import generate_taxonomy_pairs, taxonomy_locales
from training.settings import with_data_folder

DEFAULT_ROWS = 3000
"""Rows per marketplace of a generated source."""

_log = logging.getLogger(__name__)

PairsByMarketplace = dict[str, list[RelevancePair]]


class DataSource(Protocol):
    """Labelled pairs of one or more marketplaces."""

    @property
    def name(self) -> str:
        """What messages call it: the file or folder, or the generator."""

    def available(self) -> list[str]:
        """The marketplaces it has, sorted.

        Raises:
            InputError: the data cannot be read.
        """

    def load(self, marketplaces: Sequence[str], seed: int) -> PairsByMarketplace:
        """Read or generate the pairs of `marketplaces`; `seed` matters to generated ones only.

        Raises:
            InputError: a marketplace it does not have (lists those it has), or data that is wrong.
        """


@dataclass(frozen=True, slots=True)
class CatalogueSource:
    """Pairs from the built-in generator, whose lexicon is loaded only when this source is used."""

    rows: int = DEFAULT_ROWS
    name: str = field(default="catalogue", init=False)

    def available(self) -> list[str]:
        """See `DataSource`."""
        from training.data.catalogue import MARKETPLACES

        return sorted(MARKETPLACES)

    def load(self, marketplaces: Sequence[str], seed: int) -> PairsByMarketplace:
        """See `DataSource`."""
        from training.data.catalogue import generate_pairs

        _check_marketplaces(marketplaces, self.available(), self.name)
        return {name: generate_pairs(name, self.rows, seed) for name in marketplaces}


@dataclass(frozen=True, slots=True)
class TaxonomySource:
    """Pairs generated from a taxonomy folder, a marketplace for each locale in it."""

    folder: Path
    rows: int = DEFAULT_ROWS

    @property
    def name(self) -> str:
        """See `DataSource`."""
        return str(self.folder)

    def available(self) -> list[str]:
        """See `DataSource`."""
        return sorted(taxonomy_locales(self.folder))

    def load(self, marketplaces: Sequence[str], seed: int) -> PairsByMarketplace:
        """See `DataSource`."""
        _check_marketplaces(marketplaces, self.available(), self.name)
        return {name: generate_taxonomy_pairs(self.folder, name, self.rows, seed) for name in marketplaces}


@dataclass(frozen=True, slots=True)
class TableSource:
    """Pairs from a user's own file."""

    path: Path
    mapping: ColumnMapping = field(default_factory=ColumnMapping)

    @property
    def name(self) -> str:
        """See `DataSource`."""
        return str(self.path)

    def available(self) -> list[str]:
        """See `DataSource`; the whole file is read and checked."""
        return sorted(self._by_marketplace())

    def load(self, marketplaces: Sequence[str], seed: int) -> PairsByMarketplace:  # noqa: ARG002
        """See `DataSource`; rows of other marketplaces are checked too."""
        found = self._by_marketplace()
        _check_marketplaces(marketplaces, found, self.name)
        return _noted({name: found[name] for name in marketplaces}, self.name)

    def _by_marketplace(self) -> PairsByMarketplace:
        found: defaultdict[str, list[RelevancePair]] = defaultdict(list)
        for _, pair in read_labelled(self.path, self.mapping):
            found[pair.marketplace].append(pair)
        return dict(found)


@dataclass(frozen=True, slots=True)
class EsciSource:
    """Pairs from a flat ESCI file or the official ESCI folder; its locales are the marketplaces."""

    path: Path

    @property
    def name(self) -> str:
        """See `DataSource`."""
        return str(self.path)

    def available(self) -> list[str]:
        """See `DataSource`."""
        return esci_locales(self.path)

    def load(self, marketplaces: Sequence[str], seed: int) -> PairsByMarketplace:  # noqa: ARG002
        """See `DataSource`."""
        _check_marketplaces(marketplaces, self.available(), self.name)
        return _noted(read_esci(self.path, marketplaces), self.name)


def parse_source(text: str) -> DataSource:
    """Return the source that `text` names, in one of the forms above.

    Raises:
        ConfigurationError: no such form; lists the forms. Or RELEVANCE_DATA is not given.
        InputError: no such file or folder, or one that is not recognised.
    """
    text = with_data_folder(text)
    kind, colon, rest = text.partition(":")
    parser = _PARSERS.get(kind)
    if parser is None:
        return _recognised(_existing(text))
    if colon and not rest:
        raise ConfigurationError(f"data source {text!r}: nothing follows the colon; use {_FORMS}")
    return parser(rest)


def _catalogue(rest: str) -> DataSource:
    return CatalogueSource(_rows(rest) if rest else DEFAULT_ROWS)


def _taxonomy(rest: str) -> DataSource:
    folder, colon, rows = rest.rpartition(":")
    if colon and not Path(rest).exists():
        return TaxonomySource(_existing(folder), _rows(rows))
    return TaxonomySource(_existing(rest))


def _table(rest: str) -> DataSource:
    file, colon, mapping = rest.rpartition(":")
    if colon and not Path(rest).exists():
        return TableSource(_existing(file), ColumnMapping.load(_existing(mapping)))
    return TableSource(_existing(rest))


def _esci(rest: str) -> DataSource:
    return EsciSource(_existing(rest))


_PARSERS: dict[str, Callable[[str], DataSource]] = {
    "catalogue": _catalogue,
    "taxonomy": _taxonomy,
    "table": _table,
    "esci": _esci,
}
_FORMS = "catalogue[:ROWS], taxonomy:FOLDER[:ROWS], table:FILE[:MAPPING.yaml], esci:PATH or a path"


def _recognised(path: Path) -> DataSource:
    if is_official(path):
        return EsciSource(path)
    if not path.is_dir():
        return EsciSource(path) if path.suffix != ".parquet" and is_flat_esci(path) else TableSource(path)
    if (path / "dist").is_dir():
        return TaxonomySource(path)
    raise InputError(
        "the folder is neither the official ESCI folder nor a taxonomy; name a file in it", source=str(path)
    )


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not text or not path.exists():
        raise InputError(
            f"no such file or folder, and no other data source; use {_FORMS}", source=text or "data source"
        )
    return path


def _rows(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ConfigurationError(f"{text!r} is no number of rows per marketplace; use one such as 1500")
    return int(text)


def _noted(found: PairsByMarketplace, source: str) -> PairsByMarketplace:
    """The same, after saying how many judgements contradict each other: all of them are trained on."""
    for marketplace, pairs in found.items():
        if count := contradictions(pairs):
            _log.warning(
                "%s, marketplace %r: %d products are relevant to a query in one row and not in another; "
                "leave out the wrong rows",
                source,
                marketplace,
                count,
            )
    return found


def _check_marketplaces(marketplaces: Sequence[str], available: Collection[str], source: str) -> None:
    for name in marketplaces:
        if name not in available:
            raise InputError(
                f"no marketplace {name!r}; available are {', '.join(sorted(available)) or 'none'}",
                source=source,
            )
