from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_store.network.interaction import Route
from tests.support.training.learners import SEQUENCE, learn, logits_of, toy_method, toy_rows
from training.methods import adapter_fusion_joint
from training.stages.adapter import task_losses
from training.stages.labelled_tokens import LabelledTokens

ADAPTER = 2 * (32 * 8 + 8 + 8 * 32 + 32)
FUSION = 2 * (3 * 32 * 32 + 2 * 32)
HEAD = 4 * 32 + 2


def test_the_fusion_sees_the_rows_of_all_and_an_adapter_only_its_own(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = toy_method("adapter_fusion_joint", tiny_encoder_folder, tmp_path)
    rows = {name: toy_rows(method.context.tokenizer, name) for name in SEQUENCE}
    name_of = {id(one.train.labels): name for name, one in rows.items()}
    seen: dict[str, set[int]] = {name: set() for name in SEQUENCE}

    def watched(environment, data: LabelledTokens, batch, size, route, head):  # type: ignore[no-untyped-def]
        assert route == Route(SEQUENCE, "joint")
        seen[name_of[id(data.labels)]].update(batch.tolist())
        yield from task_losses(environment, data, batch, size, route, head)

    monkeypatch.setattr(adapter_fusion_joint, "task_losses", watched)
    method.learn_together(rows)
    assert {name: len(found) for name, found in seen.items()} == {
        name: len(rows[name].train) for name in SEQUENCE
    }


@pytest.mark.parametrize(("policy", "heads"), [("shared", 1), ("per_step", 3)])
def test_it_trains_all_adapters_the_fusion_and_the_heads(
    tiny_encoder_folder: Path, tmp_path: Path, policy: str, heads: int
) -> None:
    method = toy_method("adapter_fusion_joint", tiny_encoder_folder, tmp_path, head={"policy": policy})
    learn(method)
    encoder = sum(p.numel() for p in method.context.load_encoder().parameters())
    assert method.trainable_parameters == 3 * ADAPTER + FUSION + heads * HEAD
    assert method.total_parameters == encoder + method.trainable_parameters
    served = method.served_network()
    assert served is not None
    assert served[1] == Route(SEQUENCE, "joint")
    assert len({logits_of(method, name).tobytes() for name in SEQUENCE}) == 3


def test_the_order_of_the_marketplaces_decides_nothing_of_an_adapter(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    adapters = []
    for place, sequence in enumerate((("us", "es"), ("es", "us"))):
        method = toy_method("adapter_fusion_joint", tiny_encoder_folder, tmp_path / str(place))
        learn(method, sequence)
        served = method.served_network()
        assert served is not None
        adapters.append(served[0].adapter_modules("us")[0].down.weight.detach().numpy())
    np.testing.assert_allclose(adapters[0], adapters[1], atol=1e-4)


def test_one_marketplace_alone_is_refused(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("adapter_fusion_joint", tiny_encoder_folder, tmp_path)
    with pytest.raises(TypeError, match="all marketplaces together"):
        method.learn(toy_rows(method.context.tokenizer, "us"))
