"""Every form of a network that works on this machine."""

from __future__ import annotations

from collections.abc import Callable

import torch

from model_store.network.interaction import PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork
from service.engine.backends.choice import EngineChoice, engine_choices
from service.engine.backends.forms import ServedForms
from service.engine.folded.network import FoldedNetwork
from service.engine.options import EngineOptions


def forms_of(
    network: RelevanceNetwork, route: Route, calibrate: Callable[[FoldedNetwork], object]
) -> dict[EngineChoice, PairNetwork]:
    """The network in all forms that a CPU has.

    Args:
        calibrate: computes the rows from which int8 finds its scales.
    """
    found = {}
    for choice in engine_choices(EngineOptions(), torch.device("cpu")):
        # Each from a folded network of its own: packing uses it up.
        forms = ServedForms(network, route)
        found[choice] = forms.network(choice, forms.files(choice, calibrate))
    return found
