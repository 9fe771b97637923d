from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from model_store.encoding.batch import PRODUCT_SEGMENT
from model_store.network.interaction import Route
from model_store.network.scoring import encoded_texts
from tests.support.training.learners import learn_us_and_es, toy_configuration, toy_learner, toy_pairs
from training.experiments.running.fusion_attention import mean_attention
from training.runs import learner as continual_learner
from training.runs.learner import ContinualLearner, LearntStep
from training.stages.adapter import labelled_logits, rescale_head
from training.stages.labelled_tokens import LabelledTokens
from training.stages.loop import StageResult, _Loop


class InterruptionError(Exception):
    pass


def learn(
    learner: ContinualLearner, marketplace: str, folder: Path, translated: tuple[str, ...] = ()
) -> LearntStep:
    tokenizer = learner.environment.tokenizer
    return learner.learn(
        marketplace,
        LabelledTokens.of(toy_pairs(marketplace, 64), tokenizer),
        LabelledTokens.of(toy_pairs(marketplace, 48, seed=1), tokenizer),
        {older: LabelledTokens.of(toy_pairs(older, 32, seed=2), tokenizer) for older in translated},
        folder / marketplace,
    )


def learn_both(learner: ContinualLearner, folder: Path) -> None:
    learn(learner, "us", folder)
    learn(learner, "es", folder, ("us",))


def weights(learner: ContinualLearner) -> dict[str, torch.Tensor]:
    return {
        name: value.clone()
        for name, value in learner.environment.network.state_dict().items()
        if not name.startswith("encoder.")
    }


def test_an_adapter_learns_and_nothing_else_of_the_encoder_moves(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    learner = toy_learner(tiny_encoder_folder)
    before = {k: v.clone() for k, v in learner.environment.network.encoder.state_dict().items()}
    result = learn(learner, "us", tmp_path)
    assert result.fusion is None
    assert result.adapter.best_auc > result.adapter.history[0]["validation_auc"]
    for name, value in learner.environment.network.encoder.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_second_step_trains_a_new_fusion_and_leaves_the_older_adapter_alone(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    learner = toy_learner(tiny_encoder_folder)
    learn(learner, "us", tmp_path)
    older = {k: v for k, v in weights(learner).items() if ".us." in k}
    result = learn(learner, "es", tmp_path, ("us",))
    assert learner.route == Route(("us", "es"), "step-0002")
    assert result.fusion is not None
    after = weights(learner)
    for name, value in older.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=0)


def test_distillation_lowers_the_distance_to_the_teacher(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    def attention_on_new_adapter(weight: float) -> float:
        from model_store.network.interaction import AttentionMaps

        learner = toy_learner(tiny_encoder_folder, toy_configuration(distillation={"weight": weight}))
        learn(learner, "us", tmp_path / str(weight))
        learn(learner, "es", tmp_path / str(weight), ("us",))
        tokenizer = learner.environment.tokenizer
        data = LabelledTokens.of(toy_pairs("us", 16, seed=3), tokenizer)
        maps = AttentionMaps()
        batch = tokenizer.batch(data.tokenized, range(16), [0] * 16)
        with torch.no_grad():
            learner.environment.network.eval().pair_features(batch, learner.route, maps)
        shares = [log[mask][:, 1].exp().mean() for log, mask in zip(maps.log_attention, maps.masks, strict=True)]
        return float(torch.stack(shares).mean())

    assert attention_on_new_adapter(1.0) < attention_on_new_adapter(0.0) - 0.05


def test_a_new_marketplaces_rows_are_drawn_to_its_own_adapter(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    def attention_on_own_adapter(weight: float) -> float:
        changes = {"weight": 1.0, "own_adapter": weight}
        learner = toy_learner(tiny_encoder_folder, toy_configuration(distillation=changes))
        learn(learner, "us", tmp_path / str(weight))
        learn(learner, "es", tmp_path / str(weight), ("us",))
        return float(np.mean([share for _, share in mean_attention_of(learner, "es")]))

    assert attention_on_own_adapter(1.0) > attention_on_own_adapter(0.0) + 0.05


def mean_attention_of(learner: ContinualLearner, marketplace: str) -> list[list[float]]:
    environment = learner.environment
    data = LabelledTokens.of(toy_pairs(marketplace, 16, seed=3), environment.tokenizer)
    return mean_attention(environment.network, environment.tokenizer, learner.route, data, 2048)


@pytest.mark.parametrize(
    ("interrupted_at", "dropout"), [(3, True), (14, True), (17, True), (30, True), (30, False)]
)
def test_interrupted_anywhere_and_resumed_gives_the_same_weights(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted_at: int, dropout: bool
) -> None:
    configuration = toy_configuration(fusion={"dropout": 0.1}, adapter_stage={"epochs": 3, "batch_size": 16,
                                      "learning_rate": 5e-3, "patience": 5, "dropout": dropout})  # fmt: skip
    undisturbed = toy_learner(tiny_encoder_folder, configuration)
    learn_both(undisturbed, tmp_path / "a")

    steps = 0
    original = _Loop._step

    def counted(loop: _Loop, batch: object) -> dict[str, float]:
        nonlocal steps
        steps += 1
        if steps == interrupted_at:
            raise InterruptionError
        return original(loop, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(_Loop, "_step", counted)
    with pytest.raises(InterruptionError):
        learn_both(toy_learner(tiny_encoder_folder, configuration), tmp_path / "b")
    resumed = toy_learner(tiny_encoder_folder, configuration)
    learn_both(resumed, tmp_path / "b")
    expected, actual = weights(undisturbed), weights(resumed)
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=0, atol=0, msg=name)


def test_a_head_per_step_leaves_the_older_head_as_it_was(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    learner = toy_learner(tiny_encoder_folder, toy_configuration(head={"policy": "per_step"}))
    learn(learner, "us", tmp_path)
    older = weights(learner)["heads.weights.us"]
    learn(learner, "es", tmp_path, ("us",))
    after = weights(learner)
    torch.testing.assert_close(after["heads.weights.us"], older, rtol=0, atol=0)
    assert not torch.equal(after["heads.weights.es"], older)


def test_regularised_value_matrices_stay_near_the_identity(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    def distance(weight: float) -> float:
        learner = toy_learner(tiny_encoder_folder, toy_configuration(value_regularisation=weight))
        learn(learner, "us", tmp_path / str(weight))
        learn(learner, "es", tmp_path / str(weight), ("us",))
        assert learner.route.fusion is not None
        modules = learner.environment.network.fusion_modules(learner.route.fusion)
        values = [module.value.weight.detach() for module in modules]
        return float(sum((value - torch.eye(len(value))).square().sum() for value in values))

    assert distance(1.0) < 0.2 * distance(0.0)


def learnt(folder: Path, run: Path, share: float, *, steps: int = 2) -> ContinualLearner:
    learner = toy_learner(folder, toy_configuration(adapter_interpolation=share))
    if steps == 2:
        learn_us_and_es(learner, run)
    else:
        learn_us(learner, run)
    return learner


def learn_us(learner: ContinualLearner, run: Path) -> StageResult:
    tokenizer = learner.environment.tokenizer
    train, validation = (LabelledTokens.of(toy_pairs("us", 64, seed), tokenizer) for seed in (0, 1))
    return learner.learn("us", train, validation, {}, run / "us").adapter


def moved(learner: ContinualLearner) -> float:
    """Mean squared distance of other texts' normalised means from the untrained encoder's."""
    environment = learner.environment
    texts = LabelledTokens.of(toy_pairs("us", 60, seed=9), environment.tokenizer).tokenized.products
    with torch.inference_mode():
        means = [
            torch.nn.functional.normalize(
                encoded_texts(environment.network.eval(), environment.tokenizer, texts, PRODUCT_SEGMENT, route),
                dim=-1,
            )
            for route in (learner.route, Route())
        ]
    return float((means[0] - means[1]).square().sum(-1).mean())


def test_an_adapter_adds_the_given_share_of_what_it_learnt(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    whole = learnt(tiny_encoder_folder, tmp_path / "whole", 1.0, steps=1)
    half = learnt(tiny_encoder_folder, tmp_path / "half", 0.5, steps=1)
    pairs = zip(
        whole.environment.network.adapter_modules("us"),
        half.environment.network.adapter_modules("us"),
        strict=True,
    )
    for one, other in pairs:
        torch.testing.assert_close(other.adapter_up.weight, 0.5 * one.adapter_up.weight)
        torch.testing.assert_close(other.adapter_up.bias, 0.5 * one.adapter_up.bias)
        torch.testing.assert_close(other.down.weight, one.down.weight)


def test_other_texts_stay_nearer_to_where_the_untrained_encoder_has_them(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    whole = moved(learnt(tiny_encoder_folder, tmp_path / "whole", 1.0))
    assert whole > 0.003  # training moves them
    assert moved(learnt(tiny_encoder_folder, tmp_path / "half", 0.5)) < 0.6 * whole


def test_scores_still_mean_probabilities(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    learner = learnt(tiny_encoder_folder, tmp_path, 0.3, steps=1)
    train = LabelledTokens.of(toy_pairs("us", 64), learner.environment.tokenizer)
    scores = expit(labelled_logits(learner.environment, train, learner.route, 0))
    assert scores.mean() == pytest.approx(train.labels.mean(), abs=0.01)
    assert scores[train.labels == 1].mean() > scores[train.labels == 0].mean() + 0.2


def test_a_step_that_is_read_back_is_not_weakened_again(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    first = learnt(tiny_encoder_folder, tmp_path, 0.5)
    again = learnt(tiny_encoder_folder, tmp_path, 0.5)
    pairs = LabelledTokens.of(toy_pairs("us", 20, seed=5), first.environment.tokenizer)
    for marketplace in ("us", "es"):
        np.testing.assert_array_equal(first.logits(marketplace, pairs), again.logits(marketplace, pairs))


def test_rescaling_keeps_the_order_and_refuses_to_turn_it_round(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    learner = learnt(tiny_encoder_folder, tmp_path, 1.0, steps=1)
    environment = learner.environment
    train = LabelledTokens.of(toy_pairs("us", 64), environment.tokenizer)
    before = labelled_logits(environment, train, learner.route, 0)
    environment.network.heads.rescale("shared", 0.25, 3.0)
    np.testing.assert_allclose(
        labelled_logits(environment, train, learner.route, 0), 0.25 * before + 3.0, atol=1e-4
    )
    rescale_head(environment, "shared", learner.route, train)
    rescaled = labelled_logits(environment, train, learner.route, 0)
    assert (np.argsort(rescaled, kind="stable") == np.argsort(before, kind="stable")).mean() > 0.9
    wrong = LabelledTokens(train.tokenized, 1 - train.labels, train.lengths)
    rescale_head(environment, "shared", learner.route, wrong)
    np.testing.assert_array_equal(labelled_logits(environment, train, learner.route, 0), rescaled)


def test_the_head_is_fitted_before_a_later_adapter_learns_and_not_when_it_is_read_back(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[Route] = []

    def watched(environment, head, route, train):  # type: ignore[no-untyped-def]
        fitted.append(route)
        rescale_head(environment, head, route, train)

    monkeypatch.setattr(continual_learner, "rescale_head", watched)
    learnt(tiny_encoder_folder, tmp_path, 0.5)
    assert fitted == [Route(("es",))]
    learnt(tiny_encoder_folder, tmp_path, 0.5)
    assert fitted == [Route(("es",))]
