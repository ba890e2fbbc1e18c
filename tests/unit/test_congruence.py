"""Soft targets and averaged weights, on models small enough to compute by hand."""

import pytest

from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput
from shared.jobs.rows import Row

torch = pytest.importorskip("torch", reason="trainings need torch")

from shared.jobs.congruence import MeanWeights, loss_sum, soft_targets  # noqa: E402

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
TARGETS = torch.tensor([0, 0])


def test_without_soft_targets_the_loss_is_cross_entropy() -> None:
    plain = torch.nn.functional.cross_entropy(LOGITS, TARGETS, reduction="sum")
    assert loss_sum(LOGITS, TARGETS, None, weight=1.0) == plain
    assert loss_sum(LOGITS, TARGETS, torch.zeros(2, 2), weight=1.0) == plain


def test_a_row_without_soft_target_is_pulled_by_its_label_alone() -> None:
    logits = LOGITS.clone().requires_grad_()
    soft = torch.tensor([[0.6, 0.4], [0.0, 0.0]])
    loss_sum(logits, TARGETS, soft, weight=1.0).backward()
    alone = LOGITS.clone().requires_grad_()
    loss_sum(alone, TARGETS, None, weight=1.0).backward()
    assert logits.grad is not None
    assert alone.grad is not None
    assert torch.allclose(logits.grad[1], alone.grad[1])
    assert not torch.allclose(logits.grad[0], alone.grad[0])


def test_soft_and_hard_pull_balance_between_label_and_parent() -> None:
    # Weight 1: the best answer is half way between the label (1, 0) and the parent (0.6, 0.4).
    middle = torch.tensor([[0.8, 0.2]]).log().requires_grad_()
    soft = torch.tensor([[0.6, 0.4]])
    loss_sum(middle, torch.tensor([0]), soft, weight=1.0).backward()
    assert middle.grad is not None
    assert middle.grad.abs().max() < 1e-6


def test_the_mean_of_weights_counts_what_was_taken_and_nothing_frozen() -> None:
    model = torch.nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.bias.fill_(7.0)
    mean = MeanWeights(model)
    for value in (2.0, 4.0, 9.0):
        with torch.no_grad():
            model.weight.fill_(value)
        mean.take()
    mean.restart()
    assert model.weight.tolist() == [[1.0, 1.0]]
    mean.settle()
    assert model.weight.tolist() == [[5.0, 5.0]]
    assert model.bias.tolist() == [7.0]


def test_one_moment_is_its_own_mean_to_the_last_bit() -> None:
    model = torch.nn.Linear(64, 64)
    wanted = model.weight.detach().clone()
    mean = MeanWeights(model)
    mean.take()
    mean.restart()
    mean.settle()
    assert torch.equal(model.weight, wanted)


def test_soft_targets_without_a_parent_name_the_remedy(tmp_path: object) -> None:
    store = FsspecArtifacts(str(tmp_path))
    task = Task(TaskKind.CLASSIFICATION, ("a", "b"))
    with pytest.raises(BadInput, match="give the deployed adapter"):
        soft_targets(store, None, [Row("1", "text", "a")], task)
