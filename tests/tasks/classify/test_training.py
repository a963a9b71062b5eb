"""What classifiers are trained for."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.data.classify.store import Split
from edgesmith.params import Augment, Schedule
from edgesmith.tasks.classify.training import Classification, mix_with_soft_targets
from edgesmith.tasks.learning import Data, Teacher
from edgesmith.tasks.loop import fit
from edgesmith.tasks.predict import predict
from tests import tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data[Split]:
    folder = tmp_path_factory.mktemp("data")
    tiny.write_data(folder)
    return replace(tiny.data(folder), augment=Augment(shift=0.1, flip=True, brightness=0.1))


def network() -> nn.Sequential:
    """Without normalisation and dropout: the same in training and evaluation."""
    torch.manual_seed(7)
    parts = [nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(8, 4))


def schedule(epochs: int = 1, **keys: object) -> Schedule:
    return Schedule(epochs=epochs, batch=16, learning_rate=0.01, **keys)


def test_soft_targets_are_weighed_as_written() -> None:
    # softened by 2: student (1, 0), teacher (0, 1) before the softmax
    student, teacher = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    high = math.e / (1 + math.e)
    divergence = high * math.log(high / (1 - high)) + (1 - high) * math.log((1 - high) / high)
    loss = mix_with_soft_targets(torch.tensor(3.0), student, teacher, temperature=2, alpha=0.25)

    assert loss.item() == pytest.approx(0.25 * 3 + 0.75 * 4 * divergence, rel=1e-6)


def test_soft_targets_are_a_mean_over_images() -> None:
    student, teacher = torch.randn(3, 5), torch.randn(3, 5)
    hard = torch.tensor(0.0)
    single = mix_with_soft_targets(hard, student, teacher, 3, 0)
    twice = mix_with_soft_targets(hard, student.repeat(2, 1), teacher.repeat(2, 1), 3, 0)

    assert twice.item() == pytest.approx(single.item(), rel=1e-6)


@pytest.mark.parametrize("temperature", [50, 500])
def test_soft_gradients_keep_their_size_at_any_temperature(temperature: float) -> None:
    """(Hinton et al., 2015, equation 4): they tend to (student - teacher) / classes."""
    student = torch.tensor([[1.0, -2.0, 0.5, 0.5]], requires_grad=True)
    teacher = torch.tensor([[0.0, 3.0, -1.0, -2.0]])
    mix_with_soft_targets(torch.tensor(0.0), student, teacher, temperature, 0).backward()

    torch.testing.assert_close(student.grad, (student.detach() - teacher) / 4, rtol=0.1, atol=0.02)


def moved(
    data: Data[Split], folder: Path, change: Callable[[Teacher], Teacher] = lambda teacher: teacher
) -> float:
    """How far a plain student goes from its start when it is its own teacher, labels unseen."""
    net = network().eval()
    start = copy.deepcopy(net.state_dict())
    teacher = Teacher(copy.deepcopy(net), data.train.images, data.spec, temperature=2, alpha=0)
    rule = schedule(1, optimizer="sgd", weight_decay=0.0)
    fit(net, Classification(data, rule, 0, change(teacher)), rule, folder / "c.pt", title="net")
    return max((net.state_dict()[key] - start[key]).abs().max().item() for key in start)


@pytest.mark.parametrize("augment", [Augment(), Augment(shift=0.2, flip=True, contrast=0.3)])
def test_a_teacher_sees_what_its_student_sees(
    data: Data[Split], tmp_path: Path, augment: Augment
) -> None:
    data = replace(data, augment=augment)

    assert moved(data, tmp_path / "same") < 1e-6
    assert (
        moved(
            data,
            tmp_path / "other",
            lambda t: replace(t, images=np.ascontiguousarray(t.images[::-1])),
        )
        > 1e-5
    )


def test_a_teacher_stays_as_it_is(data: Data[Split], tmp_path: Path) -> None:
    net = network()
    teacher = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3 * tiny.SIZE**2), nn.Dropout(0.3))
    teacher.append(nn.Linear(3 * tiny.SIZE**2, 4)).eval()
    before = copy.deepcopy(teacher.state_dict())
    start = copy.deepcopy(net.state_dict())
    guide = Teacher(teacher, data.train.images, data.spec, temperature=2, alpha=0.5)
    rule = schedule()
    fit(net, Classification(data, rule, 0, guide), rule, tmp_path / "c.pt", title="net")

    assert all(torch.equal(tensor, before[key]) for key, tensor in teacher.state_dict().items())
    assert not teacher.training
    assert not torch.equal(net.state_dict()["0.weight"], start["0.weight"])


def test_targets_that_stay_are_kept_in_full_precision(data: Data[Split]) -> None:
    teacher = Teacher(network().eval(), data.train.images, data.spec, temperature=2, alpha=0)
    still = replace(data, augment=Augment())
    objective = Classification(still, schedule(mixed_precision=True), 0, teacher)
    batch = next(objective.epoch(0))
    with torch.autocast("cpu", torch.bfloat16):
        targets = objective._targets(batch, torch.device("cpu"))

    expected = predict(teacher.net, data.train.images, data.spec)[batch.chosen]
    assert batch.guide is None
    assert np.array_equal(targets.numpy(), expected)


def test_an_epoch_sees_each_image_once_and_depends_on_seed_and_number(data: Data[Split]) -> None:
    def order(seed: int, number: int) -> list[int]:
        batches = Classification(data, schedule(), seed).epoch(number)
        return [int(place) for batch in batches for place in batch.chosen]

    assert sorted(order(0, 0)) == list(range(len(data.train)))
    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) and order(0, 0) != order(1, 0)


def test_the_measure_is_the_share_of_right_answers_on_val(data: Data[Split]) -> None:
    net = network().eval()
    nn.init.zeros_(net[-1].weight)
    net[-1].bias.data = torch.tensor([0.0, 0.0, 1.0, 0.0])
    val = data.val
    few = replace(data, val=Split(val.images[:6], val.labels[:6], val.names[:6]))

    assert list(few.val.labels) == [0, 1, 2, 3, 0, 1]
    assert Classification(few, schedule(), 0).measure(net) == pytest.approx(1 / 6)
