"""From a stored version to a scorer, in the fastest form that ranks as the trained network does.

Loading is slow and holds no request up: it has threads of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from model_store.errors import ConfigurationError, RelevanceError, StoreError, VersionCorruptError
from model_store.network.fast_products import FastProducts
from model_store.network.interaction import PairNetwork
from model_store.product import Product, QueryProductPair
from model_store.versions.loading import LoadedVersion, load_version
from model_store.versions.manifest import LabelledRows
from service import background
from service.engine.backends import rates as form_rates
from service.engine.backends.choice import TORCH_FLOAT32, EngineChoice, checked_device, engine_choices
from service.engine.backends.files import EngineCheck, EngineFiles
from service.engine.backends.forms import ServedForms
from service.engine.backends.machine import ALL_THREADS, torch_threads
from service.engine.backends.rates import (
    LAYERS,
    LEAST_GAIN,
    Calm,
    FormRates,
    measured_rates,
    run_random,
    worthwhile,
)
from service.engine.batching.token_budget import calibrated_token_budget
from service.engine.folded.network import FoldedNetwork
from service.engine.options import EngineOptions
from service.engine.scorer import Scorer
from service.engine.versions.quality import AUC_TOLERANCE, compared, require_validation_rows, validation_rows

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

LARGEST_EXACT_DIFFERENCE = 1e-3
"""Of scores between two float32 forms of one network: they add in another order."""
CALIBRATION_ROWS = 128
"""Validation rows of a marketplace from which an int8 form's scales are found."""
_log = logging.getLogger(__name__)


def in_own_thread(call: Callable[[], _Result]) -> _Result:
    """The result of `call`, or its exception, from a thread that has ended."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="computing-once") as thread:
        future = thread.submit(call)
        error = future.exception()
    if error is not None:
        raise background.contained(error)
    return future.result()


class WorkerThread:
    """Runs calls one after another, in the order in which they came."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loading")

    async def run(
        self, call: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        """The result of `call`, or its exception."""
        return await background.in_thread(self._executor, lambda: in_own_thread(lambda: call(*args, **kwargs)))

    def close(self) -> None:
        """Drop calls that wait and let the one that runs finish."""
        self._executor.shutdown(wait=True, cancel_futures=True)


class _RefusedError(Exception):
    """A form is not good enough, or cannot be checked."""


def load_scorer(store: Path, version: str = "latest", options: EngineOptions | None = None) -> Scorer:
    """Verify and load a version, and put it into the form that the options ask for.

    Raises:
        VersionNotFoundError: there is no such version.
        VersionCorruptError: its files are not what was published.
        ConfigurationError: there is no such device or form, or the only form asked for was refused.
        StoreError: it cannot be loaded for a reason that none of these foresees.
    """
    try:
        return in_own_thread(lambda: _load(store, version, options or EngineOptions()))
    except RelevanceError:
        raise
    except Exception as error:
        raise StoreError(
            f"version {version} of {store} cannot be loaded ({background.described(error)}); serve another with "
            "MODEL_VERSION, or publish it again"
        ) from error


def _load(store: Path, version: str, options: EngineOptions) -> Scorer:
    device = checked_device(options.device)
    with torch_threads(ALL_THREADS):
        choices = engine_choices(options, device)
        loaded = load_version(store, version)
        loaded.network.to(device)
        return _Loading(store, loaded, options).scorer(choices)


class _Loading:
    def __init__(self, store: Path, loaded: LoadedVersion, options: EngineOptions) -> None:
        self._store, self._loaded, self._options = store, loaded, options
        self._files = EngineFiles(store, loaded.manifest)
        self._forms = ServedForms(loaded.network, loaded.route)
        self._refusals: list[str] = []

    def scorer(self, choices: list[EngineChoice]) -> Scorer:
        for choice in self._by_rate(self._possible(choices)):
            try:
                network = self._network(choice)
            except _RefusedError as error:
                self._refuse(choice, str(error))
                continue
            budget = self._options.token_budget or calibrated_token_budget(network, self._loaded.route, choice)
            return self._scorer_of(network, choice, budget)
        raise ConfigurationError(
            f"settings BACKEND and PRECISION: version {self._loaded.manifest.number} is not served so "
            f"({'; '.join(self._refusals)}); set PRECISION to float32 or auto"
        )

    def _refuse(self, choice: EngineChoice, reason: str) -> None:
        self._refusals.append(f"{choice.name}: {reason}")
        _log.info("version %d is not served by %s: %s", self._loaded.manifest.number, choice.name, reason)

    def _possible(self, choices: list[EngineChoice]) -> list[EngineChoice]:
        """Those that this version can be put into, and that can be compared with float32 where they round."""
        kept = []
        for choice in choices:
            problem = self._forms.problem(choice) or (None if choice.is_exact else self._unchecked())
            if problem:
                self._refuse(choice, problem)
            else:
                kept.append(choice)
        return kept

    def _unchecked(self) -> str | None:
        try:
            require_validation_rows(self._loaded.manifest)
        except VersionCorruptError as error:
            return f"cannot be checked: {error}"
        return None

    def _by_rate(self, choices: list[EngineChoice]) -> list[EngineChoice]:
        """The fastest first, as measured on this machine; a GPU has one fast form."""
        if len(choices) < 2 or self._forms.folded.device.type != "cpu":
            return choices
        names = {choice.name for choice in choices}
        rates = self._files.read_rates()
        if rates is None or not names <= set(rates):
            rates = self._measured(choices)
        kept = worthwhile(choices, rates)
        for choice in choices:
            if choice not in kept:
                self._refuse(choice, f"it is less than {LEAST_GAIN} times as fast as float32 here")
        return kept

    def _measured(self, choices: list[EngineChoice]) -> FormRates:
        started = time.perf_counter()
        networks = {}
        for choice in choices:
            # Each from a folded network of its own: packing uses it up.
            forms = ServedForms(self._loaded.network, self._loaded.route, LAYERS)
            networks[choice] = forms.network(choice, forms.files(choice, run_random))
        calm = Calm()
        rates = measured_rates(networks, self._loaded.route)
        share = calm.share
        summary = ", ".join(f"{name} {rate.alone:,.0f} and {rate.batched:,.0f}" for name, rate in rates.items())
        _log.info(
            "tokens a second through %d layers, alone and in a batch: %s (measured in %.1f s)",
            *(LAYERS, summary, time.perf_counter() - started),
        )
        if share >= form_rates.CALM_SHARE:
            self._files.write_rates(rates)
        else:
            _log.info(
                "other work had %.0f %% of the cores: forms are measured anew at the next start",
                100 - 100 * share,
            )
        return rates

    def _network(self, choice: EngineChoice) -> PairNetwork:
        if choice == TORCH_FLOAT32:
            return self._forms.network(choice, {})
        known = self._files.read(choice)
        if known is not None:
            check, files = known
            if not check.accepted:
                raise _RefusedError(check.reason)
            return self._forms.network(choice, files)
        files = self._forms.files(choice, self._run_calibration)
        network = self._forms.network(choice, files)
        check = self._checked(choice, network)
        self._files.write(choice, check, files if check.accepted else {})
        if not check.accepted:
            raise _RefusedError(check.reason)
        return network

    def _run_calibration(self, network: FoldedNetwork) -> None:
        rows = [
            pair
            for found in self._validation_rows().values()
            for pair in found.pairs[:: max(1, len(found.pairs) // CALIBRATION_ROWS)]
        ]
        with FastProducts():
            self._scorer_of(network, TORCH_FLOAT32).score([*rows, *_probes(self._loaded)])

    def _checked(self, choice: EngineChoice, network: PairNetwork) -> EngineCheck:
        folded, faster = self._scorer_of(self._forms.folded, TORCH_FLOAT32), self._scorer_of(network, choice)

        def exact(pairs: Sequence[QueryProductPair]) -> list[float]:
            with FastProducts():
                return folded.score(pairs)

        probes = _probes(self._loaded)
        difference = float(np.abs(np.array(exact(probes)) - np.array(faster.score(probes))).max())
        if choice.is_exact:
            accepted = difference <= LARGEST_EXACT_DIFFERENCE
            return EngineCheck(
                accepted=accepted,
                reason=f"scores differ by up to {difference:.1e} from torch",
                largest_difference=difference,
                auc={},
            )
        found = compared(self._validation_rows(), exact, faster.score)
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
