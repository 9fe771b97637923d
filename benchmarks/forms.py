"""Every form of a network that works on this machine."""

from __future__ import annotations

from collections.abc import Callable

import torch

from model_store.network.interaction import PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork
from service.engine.backends.choice import EngineChoice, engine_choices
from service.engine.backends.forms import ServedForms
from service.engine.backends.rates import LAYERS, measured_rates, run_random, worthwhile
from service.engine.folded.network import FoldedNetwork
from service.engine.options import EngineOptions


def forms_of(
    network: RelevanceNetwork, route: Route, calibrate: Callable[[FoldedNetwork], object]
) -> dict[EngineChoice, PairNetwork]:
    """The network in all forms that a CPU has.

    Args:
        calibrate: computes the rows from which int8 finds its scales.
    """
    return _networks(network, route, calibrate, None)


def chosen_form(network: RelevanceNetwork, route: Route) -> EngineChoice:
    """The form that `auto` tries first: the fastest through some layers, as measured when a version is loaded."""
    networks = _networks(network, route, run_random, LAYERS)
    return worthwhile(list(networks), measured_rates(networks, route))[0]


def _networks(
    network: RelevanceNetwork, route: Route, calibrate: Callable[[FoldedNetwork], object], layers: int | None
) -> dict[EngineChoice, PairNetwork]:
    found = {}
    for choice in engine_choices(EngineOptions(), torch.device("cpu")):
        # Each from a folded network of its own: packing uses it up.
        forms = ServedForms(network, route, layers)
        found[choice] = forms.network(choice, forms.files(choice, calibrate))
    return found
