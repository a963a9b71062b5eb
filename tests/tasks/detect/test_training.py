"""What detectors are trained for: batches, a teacher, and a run that was killed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.contract import Boxes
from edgesmith.data.detect import augment
from edgesmith.data.detect.store import Scenes
from edgesmith.errors import ModelError
from edgesmith.params import Augment, Schedule
from edgesmith.tasks.detect import task
from edgesmith.tasks.detect.training import Batch, Detection
from edgesmith.tasks.learning import Data, Teacher
from edgesmith.tasks.loop import fit
from tests import tiny_detector, tiny_scenes

BOXES = Boxes(head="one-to-one")
CHANGED = Augment(shift=0.1, scale=0.2, flip=True, brightness=0.1, mosaic=0.5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data[Scenes]:
    folder = tmp_path_factory.mktemp("data")
    tiny_scenes.write_data(folder, train=20)
    return tiny_scenes.data(folder, CHANGED)


def schedule(epochs: int = 1, **keys: object) -> Schedule:
    return Schedule(epochs=epochs, batch=8, learning_rate=0.002, **keys)


def detection(data: Data[Scenes], teacher: Teacher | None = None, seed: int = 0) -> Detection:
    return task.objective(data, schedule(), seed, BOXES, teacher)


def teacher(data: Data[Scenes], net: nn.Module, alpha: float = 0.0) -> Teacher:
    return Teacher(net.eval(), data.train.images, data.spec, temperature=2, alpha=alpha)


def equal(one: Batch, other: Batch) -> bool:
    return all(np.array_equal(getattr(one, key), getattr(other, key)) for key in vars(one))


def test_batches_are_the_same_in_every_run_and_others_in_every_epoch(data: Data[Scenes]) -> None:
    first, again = (list(detection(data).epoch(1)) for _ in range(2))
    second, seeded = list(detection(data).epoch(2)), list(detection(data, seed=1).epoch(1))

    assert len(first) == detection(data).batches == 20 // 8
    assert all(map(equal, first, again))
    assert not any(map(equal, first, second)) and not any(map(equal, first, seeded))


def test_an_epoch_without_changes_shows_images_once_with_their_boxes(data: Data[Scenes]) -> None:
    plain = detection(replace(data, augment=Augment()))
    shown = list(plain.epoch(0))
    images = np.concatenate([batch.images for batch in shown]) * 255
    stored = data.train.images.transpose(0, 3, 1, 2)
    order = [int(np.abs(stored - image).sum(axis=(1, 2, 3)).argmin()) for image in images]
    boxes = [
        batch.boxes[batch.image == place] for batch in shown for place in range(len(batch.images))
    ]

    assert len(set(order)) == len(order) == 16
    for place, number in enumerate(order):
        np.testing.assert_allclose(images[place], stored[number], atol=1e-3)
        np.testing.assert_allclose(boxes[place], data.train.boxes[number])


def test_boxes_reach_the_loss_as_centre_and_size_in_shares(data: Data[Scenes]) -> None:
    batch = Batch(
        np.zeros((2, 3, 32, 64), np.float32),
        np.array([0, 1]),
        np.array([1, 0]),
        np.array([[0, 0, 64, 32], [16, 8, 32, 24]], np.float32),
    )
    labels = detection(data)._labels(batch, torch.device("cpu"))

    assert labels.boxes.tolist() == [[0.5, 0.5, 1, 1], [0.375, 0.5, 0.25, 0.5]]
    assert labels.image.tolist() == [0, 1] and labels.classes.tolist() == [1, 0]


def test_an_image_without_boxes_is_trained_on(data: Data[Scenes]) -> None:
    empty = [len(boxes) for boxes in data.train.boxes].index(0)
    with_boxes = next(k for k, boxes in enumerate(data.train.boxes) if len(boxes))
    objective = detection(replace(data, augment=Augment()))
    chosen = np.array([with_boxes, empty])
    nothing = augment.draw(np.random.default_rng(0), 2, Augment(), 20)
    made = objective._make(chosen, nothing)

    assert set(made.image) == {0} and made.images.shape[0] == 2
    net = tiny_detector.network()
    loss = objective.loss(net, made, 0.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_a_batch_without_any_box_teaches_that_there_is_nothing(data: Data[Scenes]) -> None:
    objective = detection(data)
    images = next(iter(objective.epoch(0))).images
    nothing = Batch(images, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4), "f4"))
    net = tiny_detector.network()
    net.both = True
    before = [level.amax() for level in net.eval()(torch.from_numpy(images))[1::2]]
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        loss = objective.loss(net.eval(), nothing, 0.0)
        loss.backward()
        optimizer.step()
    after = [level.amax() for level in net(torch.from_numpy(images))[1::2]]

    assert loss.item() > 0
    assert sum(after) < sum(before)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(data: Data[Scenes], tmp_path: Path) -> None:
    class Dies(Detection):
        def epoch(self, number: int) -> Iterator[Batch]:
            if number == 1:
                raise KeyboardInterrupt
            return super().epoch(number)

    rule = schedule(2)
    whole, cut = (tiny_detector.network() for _ in range(2))
    fit(whole, detection(data), rule, tmp_path / "whole.pt", title="whole")
    dying = Dies(data, rule, 0, BOXES)
    with pytest.raises(KeyboardInterrupt):
        fit(cut, dying, rule, tmp_path / "cut.pt", title="cut")
    fresh = tiny_detector.network()
    history = fit(fresh, detection(data), rule, tmp_path / "cut.pt", title="again")

    assert len(history.val_metric) == 2
    start, end = tiny_detector.network().state_dict(), whole.state_dict()
    assert not all(torch.equal(start[key], end[key]) for key in end)
    assert all(torch.equal(tensor, fresh.state_dict()[key]) for key, tensor in end.items())


def test_a_teacher_sees_what_its_student_sees(data: Data[Scenes]) -> None:
    net = tiny_detector.network()
    net.both = True
    guide = copy.deepcopy(net).eval()
    inputs: list[torch.Tensor] = []
    guide.register_forward_pre_hook(lambda _, given: inputs.append(given[0].clone()))
    objective = detection(data, teacher(data, guide))
    batch = next(iter(objective.epoch(0)))
    objective.loss(net.eval(), batch, 0.0)

    assert len(inputs) == 1
    assert np.array_equal(inputs[0].numpy(), batch.images)


def test_a_student_that_equals_its_teacher_learns_nothing_from_it(data: Data[Scenes]) -> None:
    net = tiny_detector.network().eval()
    objective = detection(data, teacher(data, copy.deepcopy(net)))
    batch = next(iter(objective.epoch(0)))

    assert objective.loss(net, batch, 0.0).item() == pytest.approx(0, abs=1e-3)
    assert objective.loss(net.train(), batch, 0.0).item() > 0.1


@pytest.mark.parametrize("heads", [1, 2])
def test_a_teacher_shows_as_many_heads_as_its_student(data: Data[Scenes], heads: int) -> None:
    net, guide = tiny_detector.network(), tiny_detector.network()
    if heads == 1:
        net.drop_other_head()
    objective = detection(data, teacher(data, guide))
    batch = next(iter(objective.epoch(0)))
    objective.loss(net, batch, 0.0).backward()

    learned = [part for part in net.heads() if any(p.grad is not None for p in part.parameters())]
    assert len(learned) == 2 * heads
    assert all(p.grad is None for p in guide.parameters())
    # As it was: what it deploys is measured after training.
    assert len(guide(torch.from_numpy(batch.images))) == 6


def test_labels_and_teacher_are_weighed_by_alpha(data: Data[Scenes]) -> None:
    net, guide = tiny_detector.network().eval(), tiny_detector.network()
    with torch.no_grad():
        guide.layers[0].conv.weight.mul_(1.5)
    losses = []
    for alpha in (0.0, 1.0, 0.25):
        objective = detection(data, teacher(data, guide, alpha))
        batch = next(iter(objective.epoch(0)))
        losses.append(objective.loss(net, batch, 0.3).item())
    labels = detection(data).loss(net, batch, 0.3).item()

    assert losses[1] == pytest.approx(labels, rel=1e-6)
    assert losses[2] == pytest.approx(0.75 * losses[0] + 0.25 * losses[1], rel=1e-5)


def test_a_teacher_with_another_input_is_refused(data: Data[Scenes]) -> None:
    other = replace(
        teacher(data, tiny_detector.network()),
        spec=data.spec.model_copy(update={"height": 96, "width": 96}),
    )

    with pytest.raises(ModelError, match=r"need the same input; give the two models the same"):
        detection(data, other)


def test_a_teacher_of_the_other_head_is_refused(data: Data[Scenes]) -> None:
    with pytest.raises(ModelError, match="give the two models the same `head`"):
        detection(data, teacher(data, tiny_detector.network("one-to-many")))


def test_a_teacher_without_the_head_that_is_trained_is_refused(data: Data[Scenes]) -> None:
    guide = tiny_detector.network()
    guide.drop_other_head()
    objective = detection(data, teacher(data, guide))

    with pytest.raises(ModelError, match="needs a teacher that has both"):
        objective.loss(tiny_detector.network(), next(iter(objective.epoch(0))), 0.0)


def test_an_untrained_network_finds_nothing(data: Data[Scenes]) -> None:
    assert detection(data).measure(tiny_detector.network().eval()) < 0.1
