from __future__ import annotations

import torch
from torch import nn

from training.trainable_rows import TrainableRows


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
