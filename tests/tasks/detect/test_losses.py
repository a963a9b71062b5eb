"""The losses of detectors, beside Ultralytics' own."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from ultralytics.utils.loss import E2ELoss

from edgesmith.tasks.detect import networks
from edgesmith.tasks.detect.losses import LabelLoss, Labels, soft_loss
from tests import tiny_detector as tiny

CPU = torch.device("cpu")
LABELS = Labels(
    torch.tensor([0.0, 0.0, 2.0]),
    torch.tensor([0.0, 1.0, 1.0]),
    torch.tensor([[0.3, 0.3, 0.4, 0.3], [0.7, 0.6, 0.2, 0.4], [0.5, 0.5, 0.6, 0.6]]),
)
NOTHING = Labels(torch.zeros(0), torch.zeros(0), torch.zeros(0, 4))


def inputs(count: int = 3) -> torch.Tensor:
    return torch.from_numpy(tiny.images(count, 5)).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(scope="module")
def maps() -> tuple[torch.Tensor, ...]:
    """Of both heads, the deployed one-to-one first."""
    net = tiny.network().eval()
    net.both = True
    with torch.no_grad():
        given: tuple[torch.Tensor, ...] = net(inputs())
    return given


@pytest.mark.parametrize("labels", [LABELS, NOTHING], ids=["objects", "none"])
@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_labels_cost_what_they_cost_in_ultralytics(labels: Labels, progress: float) -> None:
    torch.manual_seed(0)
    model = tiny.plain()
    epochs = 3
    model.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5, epochs=epochs)
    theirs = E2ELoss(model)
    for _ in range(round(progress * (epochs - 1))):
        theirs.update()
    batch = {"batch_idx": labels.image, "cls": labels.classes, "bboxes": labels.boxes}
    expected, _ = theirs(model.train()(inputs()), batch)
    torch.manual_seed(0)
    net = networks.wrap(tiny.plain(), "one-to-one").train()
    found = LabelLoss(2, "one-to-one", CPU)(net(inputs()), labels, progress)

    assert found.item() == pytest.approx(expected.sum().item(), rel=1e-4)
    assert found.item() > 0


def test_the_weight_goes_from_the_one_to_many_head_to_the_other(
    maps: tuple[torch.Tensor, ...],
) -> None:
    single = LabelLoss(2, "one-to-one", CPU)(maps[:6], LABELS, 0.0).item()
    many = LabelLoss(2, "one-to-many", CPU)(maps[6:], LABELS, 0.0).item()
    whole = LabelLoss(2, "one-to-one", CPU)

    assert single != pytest.approx(many, rel=1e-3)
    for progress, share in ((0.0, 0.8), (0.5, 0.45), (1.0, 0.1)):
        expected = share * many + (1 - share) * single
        assert whole(maps, LABELS, progress).item() == pytest.approx(expected, rel=1e-5)


def test_the_heads_keep_their_roles_whichever_is_deployed(maps: tuple[torch.Tensor, ...]) -> None:
    """Order of the maps follows the deployed head, weights and assignment do not."""
    one = LabelLoss(2, "one-to-one", CPU)(maps, LABELS, 0.2)
    other = LabelLoss(2, "one-to-many", CPU)(maps[6:] + maps[:6], LABELS, 0.2)

    assert one.item() == pytest.approx(other.item(), rel=1e-6)


def test_a_head_alone_weighs_the_same_all_along(maps: tuple[torch.Tensor, ...]) -> None:
    loss = LabelLoss(2, "one-to-one", CPU)

    assert loss(maps[:6], LABELS, 0.0).item() == loss(maps[:6], LABELS, 1.0).item() > 0


def test_labels_are_read_but_not_changed(maps: tuple[torch.Tensor, ...]) -> None:
    before = copy.deepcopy(LABELS)
    LabelLoss(2, "one-to-one", CPU)(maps, LABELS, 0.0)

    assert all(torch.equal(one, other) for one, other in zip(before, LABELS, strict=True))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_an_equal_student_loses_nothing(maps: tuple[torch.Tensor, ...], temperature: float) -> None:
    assert soft_loss(maps, maps, temperature).item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("part", range(12))
def test_every_map_of_a_teacher_counts(maps: tuple[torch.Tensor, ...], part: int) -> None:
    other = list(maps)
    other[part] = other[part] + 1

    assert soft_loss(other, maps, 2.0).item() > 1e-4


def test_the_student_alone_learns_from_a_teacher(maps: tuple[torch.Tensor, ...]) -> None:
    student = [level.clone().requires_grad_() for level in maps]
    teacher = [level + 0.5 for level in maps]
    soft_loss(student, teacher, 2.0).backward()

    assert all(level.grad is not None and level.grad.abs().sum() > 0 for level in student)
    # Towards the teacher: every logit of the student is too low.
    assert all((level.grad <= 0).all() for level in student)
    assert not any(level.requires_grad for level in teacher)


def test_boxes_count_where_the_teacher_sees_an_object() -> None:
    scores = torch.full((1, 2, 2, 2), -20.0)
    scores[0, 1, 0, 0] = 20
    boxes = torch.zeros(1, 4, 2, 2, requires_grad=True)
    soft_loss([boxes, scores], [torch.ones(1, 4, 2, 2), scores], 1.0).backward()

    assert (boxes.grad[0, :, 0, 0].abs() > 1).all()
    boxes.grad[0, :, 0, 0] = 0
    assert boxes.grad.abs().max() < 1e-6


def test_soft_targets_of_a_batch_are_a_sum_over_its_images() -> None:
    torch.manual_seed(0)
    student, teacher = ([torch.randn(2, 4, 4, 4), torch.randn(2, 2, 4, 4)] for _ in range(2))
    twice = [[level.repeat(2, 1, 1, 1) for level in maps] for maps in (student, teacher)]

    assert soft_loss(*twice, 2.0).item() == pytest.approx(
        2 * soft_loss(student, teacher, 2.0).item(), rel=1e-5
    )
