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

from edgesmith.params import Augment, Schedule
from edgesmith.tasks.classify.training import (
    Data,
    Hooks,
    Teacher,
    _one_cycle,
    fit,
    mix_with_soft_targets,
    predict,
)
from tests import tiny

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("data")
    tiny.write_data(folder)
    return replace(tiny.data(folder), augment=Augment(shift=0.1, flip=True, brightness=0.1))


def network(*, plain: bool = False) -> nn.Sequential:
    """Normalisation and dropout hold what a checkpoint could forget; a `plain` one has neither."""
    torch.manual_seed(7)
    parts = [nn.Conv2d(3, 8, 3, stride=4), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    parts += [nn.Flatten(), nn.Dropout(0.3), nn.Linear(8, 4)]
    skipped = (nn.BatchNorm2d, nn.Dropout)
    return nn.Sequential(*[part for part in parts if not (plain and isinstance(part, skipped))])


def schedule(epochs: int = 3, **keys: object) -> Schedule:
    return Schedule(epochs=epochs, batch=16, learning_rate=0.01, **keys)


def trained(data: Data, folder: Path, rule: Schedule | None = None, **options: object) -> State:
    """Weights of a fresh network after training; what torch would draw next starts at one place."""
    net = network()
    seed = options.pop("seed", 0)
    fit(net, data, rule or schedule(), seed, folder / "c.pt", title="net", **options)
    return net.state_dict()


def equal(one: State, other: State) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one.keys() | other.keys())


def kill_after(steps: int) -> Hooks:
    """Stops the run in the middle of an epoch, as Ctrl-C does."""
    left = iter(range(steps))

    def after_step() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return Hooks(after_step=after_step)


@pytest.mark.parametrize(
    "rule",
    [schedule(), schedule(ema=0.9), schedule(optimizer="sgd"), schedule(mixed_precision=True)],
    ids=["adamw", "ema", "sgd", "mixed"],
)
def test_a_killed_run_goes_on_to_the_same_weights(
    data: Data, tmp_path: Path, rule: Schedule
) -> None:
    whole = trained(data, tmp_path / "whole", rule)
    batches = len(data.train) // rule.batch
    for steps in (batches // 2, batches + 2, batches + 2):
        with pytest.raises(KeyboardInterrupt):
            trained(data, tmp_path / "parts", rule, hooks=kill_after(steps))

    assert equal(trained(data, tmp_path / "parts", rule), whole)


def test_a_finished_run_is_not_repeated(data: Data, tmp_path: Path) -> None:
    first = trained(data, tmp_path)

    assert equal(trained(data, tmp_path, hooks=kill_after(0)), first)


def test_the_same_seed_gives_the_same_weights(data: Data, tmp_path: Path) -> None:
    first = trained(data, tmp_path / "a")

    assert equal(trained(data, tmp_path / "b"), first)
    assert not equal(trained(data, tmp_path / "c", seed=1), first)


def test_training_learns(data: Data, tmp_path: Path) -> None:
    net = network()
    history = fit(net, data, schedule(8), 0, tmp_path / "c.pt", title="net")

    assert history.val_accuracy[history.best_epoch - 1] == max(history.val_accuracy) > 0.7


def test_the_best_epoch_is_kept_and_not_the_last(data: Data, tmp_path: Path) -> None:
    net = network()

    def spoil_the_end(progress: float) -> None:
        if progress > 0.75:
            nn.init.zeros_(net[-1].weight)

    history = fit(
        net,
        data,
        schedule(8),
        0,
        tmp_path / "c.pt",
        title="net",
        hooks=Hooks(before_step=spoil_the_end),
    )
    logits = predict(net, data.val.images, data.spec)
    accuracy = (logits.argmax(1) == data.val.labels).mean()

    assert len(history.val_accuracy) == 8
    assert history.best_epoch <= 6
    assert accuracy == max(history.val_accuracy) > history.val_accuracy[-1]
    assert not net.training


def test_of_equally_good_epochs_the_last_is_kept(data: Data, tmp_path: Path) -> None:
    net = network()

    def blind(_: float) -> None:
        nn.init.zeros_(net[-1].weight)
        nn.init.zeros_(net[-1].bias)

    hooks = Hooks(before_step=blind, after_step=lambda: blind(0))
    history = fit(net, data, schedule(3), 0, tmp_path / "c.pt", title="net", hooks=hooks)

    assert history.val_accuracy == [0.25] * 3
    assert history.best_epoch == 3


def test_no_epochs_leave_the_weights_alone(data: Data, tmp_path: Path) -> None:
    net = network()
    before = copy.deepcopy(net.state_dict())
    history = fit(net, data, schedule(0), 0, tmp_path / "c.pt", title="net")

    assert history.val_accuracy == []
    assert equal(net.state_dict(), before)
    assert not net.training


def test_fewer_images_than_a_batch_still_train(data: Data, tmp_path: Path) -> None:
    few = replace(data.train, images=data.train.images[:5], labels=data.train.labels[:5])

    assert not equal(trained(replace(data, train=few), tmp_path), network().state_dict())


def test_the_average_of_weights_lags_behind_them(data: Data, tmp_path: Path) -> None:
    start = network().state_dict()["6.weight"]
    plain = trained(data, tmp_path / "a", schedule())["6.weight"]
    average = trained(data, tmp_path / "b", schedule(ema=0.99))["6.weight"]

    assert 0 < (average - start).norm() < 0.5 * (plain - start).norm()


def test_the_gradient_norm_is_clipped(data: Data, tmp_path: Path) -> None:
    start = network().state_dict()["6.weight"]
    rule = {"optimizer": "sgd", "weight_decay": 0.0}
    free = trained(data, tmp_path / "a", schedule(**rule))["6.weight"]
    held = trained(data, tmp_path / "b", schedule(clip_norm=1e-4, **rule))["6.weight"]

    assert (held - start).norm() < 1e-3 < (free - start).norm()


def test_the_rate_rises_then_falls_like_half_a_cosine() -> None:
    rates = [_one_cycle(step / 1000, 0.2) for step in range(1001)]

    assert rates[0] == pytest.approx(0.005, abs=1e-4)
    assert rates[100] == pytest.approx(0.5, abs=5e-3)
    assert max(rates) == rates[200] == 1.0
    assert rates[600] == pytest.approx(0.5)
    assert rates[1000] == pytest.approx(0)
    assert rates[:201] == sorted(rates[:201])
    assert rates[200:] == sorted(rates[200:], reverse=True)


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
    data: Data, folder: Path, change: Callable[[Teacher], Teacher] = lambda teacher: teacher
) -> float:
    """How far a plain student goes from its start when it is its own teacher, labels unseen."""
    net = network(plain=True).eval()
    start = copy.deepcopy(net.state_dict())
    teacher = Teacher(copy.deepcopy(net), data.train.images, data.spec, temperature=2, alpha=0)
    rule = schedule(1, optimizer="sgd", weight_decay=0.0)
    fit(net, data, rule, 0, folder / "c.pt", title="net", teacher=change(teacher))
    return max((net.state_dict()[key] - start[key]).abs().max().item() for key in start)


@pytest.mark.parametrize("augment", [Augment(), Augment(shift=0.2, flip=True, contrast=0.3)])
def test_a_teacher_sees_what_its_student_sees(data: Data, tmp_path: Path, augment: Augment) -> None:
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


def test_a_teacher_stays_as_it_is(data: Data, tmp_path: Path) -> None:
    teacher = network().eval()
    before = copy.deepcopy(teacher.state_dict())
    guide = Teacher(teacher, data.train.images, data.spec, temperature=2, alpha=0.5)
    trained(data, tmp_path, schedule(1), teacher=guide)

    assert equal(teacher.state_dict(), before)
    assert not teacher.training
