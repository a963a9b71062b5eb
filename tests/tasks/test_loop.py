"""The training loop, with classification as its objective."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from edgesmith.data.classify.store import Split
from edgesmith.params import Augment, Schedule
from edgesmith.tasks.classify.training import Classification
from edgesmith.tasks.learning import Data
from edgesmith.tasks.loop import History, Hooks, _one_cycle, fit, one_ahead
from edgesmith.tasks.predict import predict
from tests import tiny

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data[Split]:
    folder = tmp_path_factory.mktemp("data")
    tiny.write_data(folder)
    return replace(tiny.data(folder), augment=Augment(shift=0.1, flip=True, brightness=0.1))


def network() -> nn.Sequential:
    """Normalisation and dropout hold what a checkpoint could forget."""
    torch.manual_seed(7)
    parts = [nn.Conv2d(3, 8, 3, stride=4), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    parts += [nn.Flatten(), nn.Dropout(0.3), nn.Linear(8, 4)]
    return nn.Sequential(*parts)


def schedule(epochs: int = 3, **keys: object) -> Schedule:
    return Schedule(epochs=epochs, batch=16, learning_rate=0.01, **keys)


def learn(
    net: nn.Module,
    data: Data[Split],
    folder: Path,
    rule: Schedule,
    *,
    seed: int = 0,
    hooks: Hooks | None = None,
) -> History:
    """Train `net` in place."""
    objective = Classification(data, rule, seed)
    return fit(net, objective, rule, folder / "c.pt", title="net", hooks=hooks)


def trained(
    data: Data[Split], folder: Path, rule: Schedule | None = None, **options: object
) -> State:
    """Weights of a fresh network after training; what torch would draw next starts at one place."""
    net = network()
    learn(net, data, folder, rule or schedule(), **options)
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
    data: Data[Split], tmp_path: Path, rule: Schedule
) -> None:
    whole = trained(data, tmp_path / "whole", rule)
    batches = len(data.train) // rule.batch
    for steps in (batches // 2, batches + 2, batches + 2):
        with pytest.raises(KeyboardInterrupt):
            trained(data, tmp_path / "parts", rule, hooks=kill_after(steps))

    assert equal(trained(data, tmp_path / "parts", rule), whole)


def test_a_finished_run_is_not_repeated(data: Data[Split], tmp_path: Path) -> None:
    first = trained(data, tmp_path)

    assert equal(trained(data, tmp_path, hooks=kill_after(0)), first)


def test_the_same_seed_gives_the_same_weights(data: Data[Split], tmp_path: Path) -> None:
    first = trained(data, tmp_path / "a")

    assert equal(trained(data, tmp_path / "b"), first)
    assert not equal(trained(data, tmp_path / "c", seed=1), first)


def test_training_learns(data: Data[Split], tmp_path: Path) -> None:
    net = network()
    history = learn(net, data, tmp_path, schedule(8))

    assert history.val_metric[history.best_epoch - 1] == max(history.val_metric) > 0.7


def test_the_best_epoch_is_kept_and_not_the_last(data: Data[Split], tmp_path: Path) -> None:
    net = network()

    def spoil_the_end(progress: float) -> None:
        if progress > 0.75:
            nn.init.zeros_(net[-1].weight)

    history = learn(net, data, tmp_path, schedule(8), hooks=Hooks(before_step=spoil_the_end))
    logits = predict(net, data.val.images, data.spec)
    accuracy = (logits.argmax(1) == data.val.labels).mean()

    assert len(history.val_metric) == 8
    assert history.best_epoch <= 6
    assert accuracy == max(history.val_metric) > history.val_metric[-1]
    assert not net.training


def test_of_equally_good_epochs_the_last_is_kept(data: Data[Split], tmp_path: Path) -> None:
    net = network()

    def blind(_: float) -> None:
        nn.init.zeros_(net[-1].weight)
        nn.init.zeros_(net[-1].bias)

    hooks = Hooks(before_step=blind, after_step=lambda: blind(0))
    history = learn(net, data, tmp_path, schedule(3), hooks=hooks)

    assert history.val_metric == [0.25] * 3
    assert history.best_epoch == 3


def test_no_epochs_leave_the_weights_alone(data: Data[Split], tmp_path: Path) -> None:
    net = network()
    before = copy.deepcopy(net.state_dict())
    history = learn(net, data, tmp_path, schedule(0))

    assert history.val_metric == []
    assert equal(net.state_dict(), before)
    assert not net.training


def test_fewer_images_than_a_batch_still_train(data: Data[Split], tmp_path: Path) -> None:
    few = replace(data.train, images=data.train.images[:5], labels=data.train.labels[:5])

    assert not equal(trained(replace(data, train=few), tmp_path), network().state_dict())


def test_the_average_of_weights_lags_behind_them(data: Data[Split], tmp_path: Path) -> None:
    start = network().state_dict()["6.weight"]
    plain = trained(data, tmp_path / "a", schedule())["6.weight"]
    average = trained(data, tmp_path / "b", schedule(ema=0.99))["6.weight"]

    assert 0 < (average - start).norm() < 0.5 * (plain - start).norm()


def test_the_gradient_norm_is_clipped(data: Data[Split], tmp_path: Path) -> None:
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


class Slope(NamedTuple):
    """An objective of no task: the weight of one neuron is pulled to 1; batches are numbers."""

    seen: list[tuple[int, float]]
    batches: int = 2
    metric: str = "nearness"

    def epoch(self, number: int) -> Iterator[float]:
        """The number of the epoch, and what follows it."""
        yield from (number, number + 0.5)

    def loss(self, net: nn.Module, batch: float, progress: float) -> torch.Tensor:
        """Distance of the neuron from 1."""
        self.seen.append((batch, progress))
        return (net(torch.ones(1, 1)) - 1).square().mean()

    def measure(self, net: nn.Module) -> float:
        """1 at the goal."""
        return 1 - abs(1 - net(torch.ones(1, 1)).item())


def test_what_is_trained_for_is_the_objectives_affair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    net, objective = nn.Linear(1, 1, bias=False), Slope([])
    nn.init.zeros_(net.weight)
    rule = schedule(2, weight_decay=0.0, ema=0.0)
    history = fit(net, objective, rule, tmp_path / "c.pt", title="slope")
    written = capsys.readouterr()

    assert objective.seen == [(0, 0.0), (0.5, 0.25), (1, 0.5), (1.5, 0.75)]
    assert history.val_metric[0] < history.val_metric[1] == objective.measure(net) > 0.01
    assert "slope epoch 2: loss" in written.out + written.err
    assert "val nearness" in written.out + written.err


def test_batches_are_prepared_in_order_and_one_ahead() -> None:
    made: list[int] = []
    batches = one_ahead([lambda k=k: made.append(k) or k for k in range(4)])

    assert next(batches) == 0
    assert list(batches) == [1, 2, 3] == made[1:]
    assert list(one_ahead([])) == []
