"""From a stored version to a scorer, in the fastest form that ranks as the trained network does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from model_store.errors import ConfigurationError, VersionCorruptError
from model_store.evaluation_rows import LabelledRows
from model_store.loading import LoadedVersion, load_version
from model_store.pair_network import PairNetwork
from model_store.product import Product, QueryProductPair
from service.engine.devices import checked_device
from service.engine.engine_choice import (
    TORCH_FLOAT32,
    TORCH_INT8,
    EngineChoice,
    engine_choices,
)
from service.engine.engine_files import EngineCheck, EngineFiles
from service.engine.engine_options import EngineOptions
from service.engine.folded_network import FoldedNetwork
from service.engine.int8_linear import InputRange
from service.engine.int8_network import Int8Network, ranges_as_file, ranges_of_file, watched_inputs
from service.engine.layer_ranges import layer_ranges
from service.engine.own_thread import in_own_thread
from service.engine.quality import AUC_TOLERANCE, compared, validation_rows
from service.engine.scorer import Scorer
from service.engine.token_budget import calibrated_token_budget

LARGEST_EXACT_DIFFERENCE = 1e-3
"""Of scores between two float32 forms of one network: they add in another order."""

CALIBRATION_ROWS = 128
"""Validation rows of a marketplace from which an int8 form's scales are found."""

_INPUT_RANGES = "input-ranges.safetensors"
_log = logging.getLogger(__name__)


class _RefusedError(Exception):
    """A form is not good enough, or cannot be checked."""


def load_scorer(store: Path, version: str = "latest", options: EngineOptions | None = None) -> Scorer:
    """Verify and load a version, and put it into the form that the options ask for.

    Raises:
        VersionNotFoundError: there is no such version.
        VersionCorruptError: its files are not what was published.
        ConfigurationError: there is no such device or form, or the only form asked for was refused.
    """
    return in_own_thread(lambda: _load(store, version, options or EngineOptions()))


def _load(store: Path, version: str, options: EngineOptions) -> Scorer:
    device = checked_device(options.device)
    choices = engine_choices(options, device)
    loaded = load_version(store, version)
    loaded.network.to(device)
    return _Loading(store, loaded, options).scorer(choices)


class _Loading:
    def __init__(self, store: Path, loaded: LoadedVersion, options: EngineOptions) -> None:
        self._store, self._loaded, self._options = store, loaded, options
        self._files = EngineFiles(store, loaded.manifest)
        self._folded = FoldedNetwork(loaded.network, loaded.route)

    def scorer(self, choices: list[EngineChoice]) -> Scorer:
        reasons = []
        for choice in choices:
            try:
                network = self._network(choice)
            except _RefusedError as error:
                reasons.append(f"{choice.name}: {error}")
                _log.info("version %d is not served by %s", self._loaded.manifest.number, reasons[-1])
                continue
            budget = self._options.token_budget or calibrated_token_budget(network, self._loaded.route, choice)
            return self._scorer_of(network, choice, budget)
        raise ConfigurationError(
            f"settings BACKEND and PRECISION: version {self._loaded.manifest.number} is not served so "
            f"({'; '.join(reasons)}); set PRECISION to float32 or auto"
        )

    def _network(self, choice: EngineChoice) -> PairNetwork:
        if choice == TORCH_FLOAT32:
            return self._folded.pack()
        known = self._files.read(choice)
        if known is not None:
            check, files = known
            if not check.accepted:
                raise _RefusedError(check.reason)
            return self._built(choice, files)
        files = self._made(choice)
        network = self._built(choice, files)
        check = self._checked(choice, network)
        self._files.write(choice, check, files if check.accepted else {})
        if not check.accepted:
            raise _RefusedError(check.reason)
        return network

    def _made(self, choice: EngineChoice) -> dict[str, bytes]:
        """The files that a form needs beside the version's."""
        if choice == TORCH_INT8:
            return {_INPUT_RANGES: ranges_as_file(self._input_ranges())}
        if choice.backend == "torch":
            return {}
        from service.engine.onnx_graph import layers_as_onnx

        assert choice.precision != "bf16"
        folded = self._folded
        return {
            _graph_name(first, last): layers_as_onnx(
                folded.encoder_layers[first:last], folded.hidden_size, choice.precision
            ).SerializeToString()
            for first, last in layer_ranges(folded)
        }

    def _input_ranges(self) -> dict[str, InputRange]:
        rows = [
            pair
            for found in self._validation_rows().values()
            for pair in found.pairs[:: max(1, len(found.pairs) // CALIBRATION_ROWS)]
        ]
        with watched_inputs(self._folded) as ranges:
            self._scorer_of(self._folded, TORCH_FLOAT32).score([*rows, *_probes(self._loaded)])
        return ranges

    def _built(self, choice: EngineChoice, files: Mapping[str, bytes]) -> PairNetwork:
        if choice == TORCH_INT8:
            ranges = ranges_of_file(files[_INPUT_RANGES])
            return Int8Network(self._loaded.network, self._loaded.route, ranges)
        if choice.backend == "torch":
            if self._folded.device.type == "cuda":
                from service.engine.graphed_network import GraphedNetwork

                return GraphedNetwork(self._loaded.network, self._loaded.route)
            return FoldedNetwork(self._loaded.network, self._loaded.route, torch.bfloat16).pack()
        from service.engine.onnx_network import OnnxNetwork

        graphs = {layers: files[_graph_name(*layers)] for layers in layer_ranges(self._folded)}
        return OnnxNetwork(self._folded, graphs, torch.get_num_threads())

    def _checked(self, choice: EngineChoice, network: PairNetwork) -> EngineCheck:
        exact, faster = self._scorer_of(self._folded, TORCH_FLOAT32), self._scorer_of(network, choice)
        probes = _probes(self._loaded)
        difference = float(np.abs(np.array(exact.score(probes)) - np.array(faster.score(probes))).max())
        if choice.is_exact:
            accepted = difference <= LARGEST_EXACT_DIFFERENCE
            return EngineCheck(
                accepted=accepted,
                reason=f"scores differ by up to {difference:.1e} from torch",
                largest_difference=difference,
                auc={},
            )
        found = compared(self._validation_rows(), exact.score, faster.score)
        worse = [name for name, item in found.items() if not item.holds]
        figures = ", ".join(f"{name} {item.exact:.4f} -> {item.faster:.4f}" for name, item in found.items())
        return EngineCheck(
            accepted=bool(found) and not worse,
            reason=f"validation ROC-AUC by marketplace, at most {AUC_TOLERANCE} apart: {figures or 'no rows'}",
            largest_difference=difference,
            auc={name: (item.exact, item.faster) for name, item in found.items()},
        )

    def _validation_rows(self) -> dict[str, LabelledRows]:
        try:
            return validation_rows(self._store, self._loaded.manifest)
        except VersionCorruptError as error:
            raise _RefusedError(f"cannot be checked: {error}") from error

    def _scorer_of(self, network: PairNetwork, choice: EngineChoice, budget: int | None = None) -> Scorer:
        options = {"token_budget": budget} if budget else {}
        return Scorer(
            self._loaded,
            network,
            choice,
            encoded_text_bytes=self._options.encoded_text_bytes,
            **options,
        )


def _graph_name(first: int, last: int) -> str:
    return f"layers-{first}-{last}.onnx"


def _probes(loaded: LoadedVersion) -> list[QueryProductPair]:
    """Pairs of several lengths in every marketplace."""
    words = ("usb", "red sofa", "テレビ 4k", "cafetera de acero inoxidable", "a" * 40)
    return [
        QueryProductPair(
            name, " ".join(words[: 1 + place]), Product(str(place), " ".join(words[place:] * (place + 1)))
        )
        for name in loaded.manifest.names
        for place in range(len(words))
    ]
