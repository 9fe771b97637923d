from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from model_store.network.interaction import Route
from tests.support.training.learners import copied, learn, toy_method, toy_pairs
from training.methods.dytox.method import Dytox, divergence_loss, logit_distillation
from training.methods.dytox.task_attention import TaskAttention, TaskTokenNetwork
from training.stages.labelled_tokens import LabelledTokens


def dytox(encoder: Path, folder: Path, **changes: object) -> tuple[Dytox, TaskTokenNetwork]:
    method = toy_method("dytox", encoder, folder, **changes)
    assert isinstance(method, Dytox)
    return method, method._environment.network


def own(network: TaskTokenNetwork, names: tuple[str, ...]) -> dict[str, Tensor]:
    kept = ("task_tokens.", "heads.")
    return {
        name: value
        for name, value in network.state_dict().items()
        if name.startswith(kept) and name.rsplit(".", 1)[1] in names
    }


def test_older_task_tokens_and_heads_do_not_move(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method, network = dytox(tiny_encoder_folder, tmp_path)
    learn(method, ("us", "es"))
    older = copied(own(network, ("us", "es")))
    shared = copied(dict(network.task_attention.named_parameters()))
    learn(method, ("us", "es", "de"))
    assert len(older) == 6
    for name, value in own(network, ("us", "es")).items():
        assert torch.equal(value, older[name]), name
    assert not torch.equal(network.heads.weights["de"], network.heads.weights["es"])
    assert not torch.equal(network.task_attention.output.weight, shared["output.weight"])


def probabilities(method: Dytox, network: TaskTokenNetwork, data: LabelledTokens, task: str) -> Tensor:
    head = method.marketplaces.index(task)
    return torch.sigmoid(torch.from_numpy(method._environment.logits(data.tokenized, Route((task,)), head)))


def test_distillation_keeps_what_older_tokens_say_of_the_new_rows(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    def moved(weight: float) -> float:
        stage = {"epochs": 4, "batch_size": 16, "learning_rate": 3e-3, "patience": 5}
        settings = {"stage": stage, "distillation_weight": weight, "divergence_weight": 0.0}
        method, network = dytox(tiny_encoder_folder, tmp_path / str(weight), dytox=settings)
        learn(method, ("us",))
        data = LabelledTokens.of(toy_pairs("es", 64), method.context.tokenizer)
        before = probabilities(method, network, data, "us")
        learn(method, ("us", "es"))
        return float((probabilities(method, network, data, "us") - before).abs().mean())

    assert moved(10.0) < 0.7 * moved(0.0)


def test_distillation_is_zero_where_the_student_says_the_same() -> None:
    teacher = torch.tensor([[2.0, -1.0], [0.3, 40.0]])
    assert float(logit_distillation(teacher, teacher)) == pytest.approx(0.0, abs=1e-6)
    assert float(logit_distillation(teacher, teacher + 0.5)) > 0.01


@pytest.mark.parametrize("interaction", ["two_tower", "cross", "late(1)"])
@pytest.mark.parametrize("kind", ["similarity", "linear"])
def test_a_new_network_reads_what_the_encoder_alone_gives(
    tiny_encoder_folder: Path, tmp_path: Path, interaction: str, kind: str
) -> None:
    if (interaction, kind) == ("two_tower", "linear"):
        pytest.skip("refused by the configuration")
    settings = {"pair_encoding": {"interaction": interaction}, "head": {"kind": kind, "pooling": "first_token"}}
    method, network = dytox(tiny_encoder_folder, tmp_path, **settings)
    for name in ("us", "es"):
        network.add_task(name)
    data = LabelledTokens.of(toy_pairs("us", 12), method.context.tokenizer)
    batch = method.context.tokenizer.batch(data.tokenized, range(12), [0] * 12)
    network.eval()
    with torch.no_grad():
        alone, one, two = (network.pair_features(batch, Route(names)) for names in ((), ("us",), ("us", "es")))
        torch.testing.assert_close(one, alone)
        torch.testing.assert_close(two, alone.unsqueeze(1).expand(-1, 2, -1))
        torch.nn.init.normal_(network.task_attention.output.weight)
        read = network.pair_features(batch, Route(("us", "es")))
        torch.testing.assert_close(read[:, 1], network.pair_features(batch, Route(("es",))))
        assert float((read[:, 0] - read[:, 1]).abs().max()) > 1e-4


def test_task_attention_is_class_attention_over_the_token_itself_and_the_text() -> None:
    torch.manual_seed(0)
    block = TaskAttention(8, 2)
    torch.nn.init.normal_(block.output.weight)
    tokens, hidden = torch.randn(2, 8), torch.randn(3, 5, 8)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)
    found = block(tokens, hidden, mask)
    for text in range(3):
        for task in range(2):
            own = tokens[task]
            seen = block.norm(torch.cat([own.unsqueeze(0), hidden[text][mask[text]]]))
            query = block.query(seen[0]).view(2, 4)
            key, value = (layer(seen).view(-1, 2, 4) for layer in (block.key, block.value))
            weights = torch.softmax(torch.einsum("hd,nhd->hn", query, key) / 2, dim=-1)
            state = own + block.projection(torch.einsum("hn,nhd->hd", weights, value).flatten())
            expected = block.output(state + block.feed_forward(state))
            torch.testing.assert_close(found[text, task], expected, rtol=1e-4, atol=1e-5)


def test_the_divergence_head_moves_the_newest_token_alone() -> None:
    torch.manual_seed(0)
    features = torch.randn(6, 3, 7, requires_grad=True)
    loss = divergence_loss(torch.nn.Linear(7, 3), features, torch.tensor([0.0, 1, 0, 1, 1, 0]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None
    assert features.grad[:, :-1].abs().max() == 0
    assert features.grad[:, -1].abs().max() > 0


def test_it_trains_the_encoder_and_all_that_is_the_tasks_own(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method, network = dytox(tiny_encoder_folder, tmp_path)
    learn(method, ("us",))
    encoder = sum(p.numel() for p in method.context.load_encoder().parameters())
    attention = sum(p.numel() for p in network.task_attention.parameters())
    features = 4 * 32 + 1
    assert method.trainable_parameters == method.total_parameters == encoder + attention + 32 + features + 1
    learn(method, ("us", "es"))
    divergence = 2 * features + 3 * features + 3
    assert method.trainable_parameters == encoder + attention + 32 + features + 1 + divergence
    assert method.total_parameters == encoder + attention + 2 * (32 + features + 1)
    assert method.served_network() is None
