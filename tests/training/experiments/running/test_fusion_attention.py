from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model_store.network.interaction import Route
from tests.support.training.learners import toy_configuration, toy_environment, toy_pairs
from training.experiments.running.fusion_attention import mean_attention
from training.stages.labelled_tokens import LabelledTokens


@pytest.mark.parametrize("interaction", ["two_tower", "late(1)", "cross"])
def test_a_fusion_that_looks_at_one_adapter_is_seen_to_in_the_layer_that_it_is_in(
    tiny_encoder_folder: Path, interaction: str
) -> None:
    configuration = toy_configuration(pair_encoding={"interaction": interaction})
    environment = toy_environment(tiny_encoder_folder, configuration)
    network = environment.network
    for name in ("us", "es", "de"):
        network.add_adapter(name)
    network.add_fusion("step")
    with torch.no_grad():  # zero scores share the attention evenly; in the top layer `es` has a large one
        for fusion in network.fusion_modules("step"):
            fusion.query.weight.zero_()
            fusion.query.bias.zero_()
        top = network.fusion_modules("step")[1]
        network.adapter_modules("es")[1].adapter_up.bias.fill_(1.0)
        top.key.weight.copy_(torch.eye(network.hidden_size))
        top.query.bias.fill_(1.0)
    data = LabelledTokens.of(toy_pairs("us", 20), environment.tokenizer)

    attention = mean_attention(network, environment.tokenizer, Route(("us", "es", "de"), "step"), data, 256)

    assert attention[0] == pytest.approx([1 / 3] * 3, abs=1e-5)
    assert attention[1][1] > 0.99
    assert sum(attention[1]) == pytest.approx(1.0, abs=1e-5)
