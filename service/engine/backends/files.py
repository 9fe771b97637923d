"""What is kept beside a version for serving it: files with digests, and how the form was checked.

    STORE/engines/0003/onnxruntime-int8/engine.json, layers-0-12.onnx
    STORE/engines/0003/torch-int8/engine.json, input-ranges.safetensors
    STORE/engines/0003/rates.json (where it cannot be written, form-rates/VERSION.json in RELEVANCE_CACHE)

Made anew where anything it depends on has changed: the version, this code's format, the packages.
Rates are of the machines that measured them: a store that is moved or shared is measured by each kind.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from model_store.files import sync_tree, temporary_folder, write_text_atomically
from model_store.settings import ModelStoreSettings
from model_store.versions.manifest import Manifest
from service.engine.backends.choice import EngineChoice
from service.engine.backends.machine import machine_key
from service.engine.backends.rates import FormRate, FormRates

ENGINES_FOLDER = "engines"
_FORMAT: Literal[3] = 3
_RECORD = "engine.json"
_RATES = "rates.json"
_log = logging.getLogger(__name__)


class EngineCheck(BaseModel):
    """How a form compared with the float32 network in torch.

    `largest_difference` is of scores on validation rows; `auc` has [float32, this form] by marketplace.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accepted: bool
    reason: str
    largest_difference: float
    auc: dict[str, tuple[float, float]]


class EngineRecord(BaseModel):
    """Content of `engine.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[3] = _FORMAT
    version: str
    packages: dict[str, str]
    files: dict[str, str]
    check: EngineCheck


class RatesRecord(BaseModel):
    """Content of `rates.json`: what was measured, by machine and then by form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    version: str
    machines: dict[str, dict[str, FormRate]]


class EngineFiles:
    """The folder of one version's engines. Where it cannot be written, engines are made at every start."""

    def __init__(self, store: Path, manifest: Manifest) -> None:
        self._folder = store / ENGINES_FOLDER / f"{manifest.number:04d}"
        self._version = hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()

    def read(self, choice: EngineChoice) -> tuple[EngineCheck, dict[str, bytes]] | None:
        """The check and the files by name, if they are whole and of this version, code and packages."""
        folder = self._folder / choice.name
        try:
            record = EngineRecord.model_validate_json((folder / _RECORD).read_bytes())
            files = {name: (folder / name).read_bytes() for name in record.files}
        except (OSError, ValidationError):
            return None
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        if (record.version, record.packages, record.files) != (self._version, _packages(choice), digests):
            _log.warning("%s: is of another version or was changed; it is made anew", folder)
            return None
        return record.check, files

    def write(self, choice: EngineChoice, check: EngineCheck, files: Mapping[str, bytes]) -> None:
        """Keep an engine's files by name, in one step."""
        record = EngineRecord(
            version=self._version,
            packages=_packages(choice),
            files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
            check=check,
        )
        target = self._folder / choice.name
        try:
            with temporary_folder(self._folder, ".new-") as folder:
                for name, content in files.items():
                    (folder / name).write_bytes(content)
                (folder / _RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
                sync_tree(folder)
                if target.exists():
                    shutil.rmtree(target)
                folder.replace(target)
        except OSError as error:
            _log.warning("%s cannot be kept (%s): it is made anew at the next start", target, error)

    def read_rates(self) -> FormRates | None:
        """How fast forms of this version are on this machine, if that was measured."""
        return self._known_rates().get(machine_key())

    def write_rates(self, rates: FormRates) -> None:
        """Keep them beside those of other machines."""
        machines = self._known_rates()
        machines[machine_key()] = {**machines.get(machine_key(), {}), **rates}
        record = RatesRecord(version=self._version, machines=machines)
        problems = []
        for path in self._rates_paths():
            try:
                write_text_atomically(path, record.model_dump_json(indent=2) + "\n")
            except OSError as error:
                problems.append(f"{path} cannot be written ({error})")
            else:
                return
        _log.warning("%s: forms are measured anew at the next start", "; ".join(problems))

    def _known_rates(self) -> dict[str, FormRates]:
        for path in self._rates_paths():
            try:
                record = RatesRecord.model_validate_json(path.read_bytes())
            except (OSError, ValidationError):
                continue
            if record.version == self._version:
                return dict(record.machines)
        return {}

    def _rates_paths(self) -> list[Path]:
        """Beside the version; for a store that cannot be written, on this machine."""
        cache = ModelStoreSettings().relevance_cache
        return [self._folder / _RATES, cache / "form-rates" / f"{self._version}.json"]


def _packages(choice: EngineChoice) -> dict[str, str]:
    names = ("torch",) if choice.backend == "torch" else ("torch", "onnxruntime")
    return {name: importlib.metadata.version(name) for name in names}
