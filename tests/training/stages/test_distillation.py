from __future__ import annotations

import torch

from model_store.network.interaction import AttentionMaps
from training.stages.distillation import attention_distillation_loss, own_adapter_loss


def maps(*layers: list[list[list[float]]], mask: list[list[bool]] | None = None) -> AttentionMaps:
    result = AttentionMaps()
    for layer in layers:
        attention = torch.tensor(layer)
        result.append(attention.log(), torch.tensor(mask) if mask else torch.ones(attention.shape[:2]).bool())
    return result


def test_it_is_zero_where_the_student_keeps_to_its_teacher_and_leaves_the_new_adapter_alone() -> None:
    teacher = maps([[[0.3, 0.7], [0.9, 0.1]]])
    student = maps([[[0.3, 0.7, 1e-30], [0.9, 0.1, 1e-30]]])
    total, places = attention_distillation_loss(teacher, student, 2)
    assert places == 2
    torch.testing.assert_close(total, torch.tensor(0.0))


def test_weight_on_the_new_adapter_costs_minus_log_of_what_is_left() -> None:
    teacher = maps([[[0.5, 0.5]]])
    student = maps([[[0.25, 0.25, 0.5]]])
    total, _ = attention_distillation_loss(teacher, student, 2)
    torch.testing.assert_close(total, torch.tensor(2.0).log())


def test_renormalised_it_does_not_see_the_new_adapter() -> None:
    teacher = maps([[[0.5, 0.5]]])
    student = maps([[[0.25, 0.25, 0.5]]])
    total, _ = attention_distillation_loss(teacher, student, 2, renormalise=True)
    torch.testing.assert_close(total, torch.tensor(0.0), atol=1e-6, rtol=0)


def test_it_is_the_divergence_of_equation_9_summed_over_layers_and_tokens() -> None:
    teacher = maps([[[0.2, 0.8], [0.6, 0.4]]], [[[0.5, 0.5], [0.1, 0.9]]])
    student = maps([[[0.1, 0.7, 0.2], [0.3, 0.3, 0.4]]], [[[0.4, 0.4, 0.2], [0.2, 0.7, 0.1]]])
    expected = 0.0
    for teacher_layer, student_layer in zip(teacher.log_attention, student.log_attention, strict=True):
        for token in range(2):
            for k in range(2):
                omega_t = teacher_layer[0, token, k].exp()
                expected += float(omega_t * (omega_t / student_layer[0, token, k].exp()).log())
    total, places = attention_distillation_loss(teacher, student, 2)
    assert places == 4
    torch.testing.assert_close(total, torch.tensor(expected))


def test_padding_adds_nothing() -> None:
    teacher = maps([[[0.5, 0.5], [0.5, 0.5]]], mask=[[True, False]])
    student = maps([[[0.5, 0.5, 1e-30], [0.01, 0.01, 0.98]]], mask=[[True, False]])
    total, places = attention_distillation_loss(teacher, student, 2)
    assert places == 1
    torch.testing.assert_close(total, torch.tensor(0.0))


def test_a_new_row_costs_what_its_tokens_do_not_give_to_the_new_adapter() -> None:
    student = maps([[[0.2, 0.3, 0.5], [0.0, 0.0, 1.0]]], mask=[[True, True]])
    total, places = own_adapter_loss(student)
    assert places == 2
    torch.testing.assert_close(total, torch.tensor(0.5).log().neg())


def test_padding_costs_nothing_of_the_new_adapter() -> None:
    total, places = own_adapter_loss(maps([[[0.5, 0.5], [0.9, 0.1]]], mask=[[True, False]]))
    assert places == 1
    torch.testing.assert_close(total, torch.tensor(0.5).log().neg())
