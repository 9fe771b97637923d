from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model_store.errors import ConfigurationError
from model_store.network.configuration import AdapterConfiguration
from model_store.network.interaction import Route
from tests.support.training.learners import toy_configuration, toy_environment, toy_learner, toy_pairs
from training.stages.adapter import labelled_logits
from training.stages.environment import TrainingEnvironment
from training.stages.finetuning import TrainableRows
from training.stages.labelled_tokens import LabelledTokens, frozen_rows, zero_shot_cosine


def trained(embedding: nn.Module, ids: torch.Tensor, parameters: list[torch.Tensor]) -> None:
    optimizer = torch.optim.Adam(parameters, lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        embedding(ids).square().sum().backward()
        optimizer.step()


def test_training_the_rows_in_use_is_full_training() -> None:
    torch.manual_seed(0)
    full = nn.Embedding(20, 4, padding_idx=0)
    partly = nn.Embedding(20, 4, padding_idx=0)
    partly.load_state_dict(full.state_dict())
    before = partly.weight.detach().clone()
    ids = torch.tensor([[3, 5, 5], [7, 3, 19]])
    trained(full, ids, [full.weight])
    rows = TrainableRows(partly, ids)
    trained(rows, ids, [rows.rows])
    merged = rows.merged()
    torch.testing.assert_close(merged.weight, full.weight)
    torch.testing.assert_close(merged.weight[4], before[4])


def test_a_token_that_is_not_in_the_data_keeps_its_embedding() -> None:
    embedding = nn.Embedding(10, 4)
    rows = TrainableRows(embedding, torch.tensor([1, 2]))
    torch.testing.assert_close(rows(torch.tensor([[9]])), embedding(torch.tensor([[9]])))


ROUTES = (Route(), Route(("es",)), Route(("us", "es"), "step-0002"))


def environment_with_adapters(folder: Path, **changes: object) -> TrainingEnvironment:
    environment = toy_environment(folder, toy_configuration(**changes))
    network = environment.network
    for name in ("us", "es"):
        network.add_adapter(name)
        for module in network.trained_adapter_modules(name):
            torch.nn.init.normal_(module.adapter_up.weight, std=0.3)
    network.add_fusion("step-0002")
    network.heads.add("shared")
    return environment


def rows_of(environment: TrainingEnvironment) -> LabelledTokens:
    pairs = [pair for name in ("us", "es") for pair in toy_pairs(name, 24)]
    return LabelledTokens.of(pairs, environment.tokenizer)


@pytest.mark.parametrize("layers", [None, 1])
@pytest.mark.parametrize("interaction", ["two_tower", "late(1)"])
def test_the_frozen_layers_once_give_the_scores_of_every_time(
    tiny_encoder_folder: Path, interaction: str, layers: int | None
) -> None:
    environment = environment_with_adapters(
        tiny_encoder_folder,
        pair_encoding={"interaction": interaction},
        adapter={"bottleneck": 8, "layers": layers},
    )
    rows = rows_of(environment)
    expected = [labelled_logits(environment, rows, route, 0) for route in ROUTES]
    environment.network.skip_idle_layers()
    [kept] = frozen_rows(environment, "es", rows, dropout=False)
    has_states = interaction == "two_tower" or layers is None
    assert (kept.states is not None) == has_states
    for route, logits in zip(ROUTES, expected, strict=True):
        np.testing.assert_allclose(labelled_logits(environment, kept, route, 0), logits, atol=1e-4)
    assert np.ptp(expected[1] - expected[0]) > 1e-2  # the adapters do something


@pytest.mark.parametrize(
    ("changes", "dropout"),
    [({"pair_encoding": {"interaction": "cross"}}, False), ({"frozen_states_megabytes": 0}, False), ({}, True)],
)
def test_where_they_cannot_be_kept_they_are_computed_every_time(
    tiny_encoder_folder: Path, changes: dict[str, object], dropout: bool
) -> None:
    environment = environment_with_adapters(tiny_encoder_folder, **changes)
    [kept] = frozen_rows(environment, "es", rows_of(environment), dropout=dropout)
    assert kept.states is None


def test_a_layer_in_which_an_older_adapter_works_is_not_skipped(tiny_encoder_folder: Path) -> None:
    environment = environment_with_adapters(tiny_encoder_folder)
    network = environment.network
    network.set_new_adapters(AdapterConfiguration(bottleneck=8, layers=1))
    network.add_adapter("de")
    network.skip_idle_layers()
    assert not network.adapter_modules("de")[0].adds_something()
    assert network.idle_layers == 0


def test_more_layers_than_the_encoder_has_are_refused(tiny_encoder_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"adapter\.layers is 3, and the encoder has 2"):
        environment_with_adapters(tiny_encoder_folder, adapter={"layers": 3})


def test_adapters_in_the_upper_layers_alone_are_trained_there_alone(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    configuration = toy_configuration(adapter={"bottleneck": 8, "layers": 1})
    learner = toy_learner(tiny_encoder_folder, configuration)
    tokenizer = learner.environment.tokenizer
    results = {}
    for name, translated in (("us", ()), ("es", ("us",))):
        results[name] = learner.learn(
            name,
            LabelledTokens.of(toy_pairs(name, 64), tokenizer),
            LabelledTokens.of(toy_pairs(name, 48, seed=1), tokenizer),
            {older: LabelledTokens.of(toy_pairs(older, 32, seed=2), tokenizer) for older in translated},
            tmp_path / name,
        )
    network = learner.environment.network
    assert results["us"].adapter.best_auc > results["us"].adapter.history[0]["validation_auc"]
    assert [module.adds_something() for module in network.adapter_modules("es")] == [False, True]
    assert results["es"].trainable_parameters["adapter"] == 32 * 8 + 8 + 8 * 32 + 32
    assert results["es"].trainable_parameters["fusion"] == 3 * 32 * 32 + 2 * 32
    assert network.idle_layers == 1
    data = LabelledTokens.of(toy_pairs("es", 32, seed=5), tokenizer)
    skipped = learner.logits("es", data)
    network.idle_layers = 0  # as in a service, which knows nothing of it
    np.testing.assert_allclose(learner.logits("es", data), skipped, atol=1e-5)


def test_the_untrained_cosine_is_the_same_from_the_states(tiny_encoder_folder: Path) -> None:
    environment = environment_with_adapters(tiny_encoder_folder, adapter={"bottleneck": 8, "layers": 1})
    rows = rows_of(environment)
    expected = zero_shot_cosine(environment.network, environment.tokenizer, rows)
    environment.network.skip_idle_layers()
    [kept] = frozen_rows(environment, "es", rows, dropout=False)
    assert kept.states is not None
    np.testing.assert_allclose(
        zero_shot_cosine(environment.network, environment.tokenizer, kept), expected, atol=1e-5
    )


def test_states_hold_while_marketplaces_are_added_and_are_computed_once(tiny_encoder_folder: Path) -> None:
    environment = toy_environment(tiny_encoder_folder, toy_configuration(adapter={"bottleneck": 8, "layers": 1}))
    network = environment.network
    network.skip_idle_layers()
    assert network.idle_layers == 1  # the layer that adapters will change is not one of them
    [kept] = frozen_rows(environment, "evaluation", rows_of(environment), dropout=False)
    for name in ("us", "es"):
        network.add_adapter(name)
        network.skip_idle_layers()
    assert network.idle_layers == 1
    assert frozen_rows(environment, "es", kept, dropout=False)[0].states is kept.states
