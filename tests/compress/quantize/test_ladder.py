from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.compress.quantize import ranges, rungs, sensitivity
from edgesmith.compress.quantize.bias import correct_biases
from edgesmith.compress.quantize.equalise import equalise, find_pairs
from edgesmith.compress.quantize.fidelity import fidelity
from edgesmith.compress.quantize.graph import calibrate, set_simulation, simulate
from edgesmith.compress.quantize.mixed import leave_float
from edgesmith.data.classify.store import load_split
from edgesmith.errors import DataError, ModelError, QuantizeError
from edgesmith.tasks import store
from edgesmith.tasks.predict import predict
from tests import tiny
from tests.tiny import SPEC, variant, write_params


class Chain(nn.Module):
    """Stem, depthwise and pointwise convolution with ReLU6 between, and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.depth = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.point = nn.Conv2d(16, 8, 1)
        self.cap, self.relu = nn.ReLU6(), nn.ReLU()
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.point(self.cap(self.depth(self.cap(self.stem(x))))))
        return self.head(x.mean((2, 3)))


def apart() -> Chain:
    """Half of the channels small in one convolution and large in the next: the function is kept."""
    net = Chain().eval()
    with torch.no_grad():
        for first, second in ((net.stem, net.depth), (net.depth, net.point)):
            small = torch.where(torch.arange(16) % 2 == 0, 0.02, 1.0)
            first.weight.mul_(small.reshape(-1, 1, 1, 1))
            first.bias.mul_(small)
            by = small.reshape((-1, 1, 1, 1) if second is net.depth else (1, -1, 1, 1))
            second.weight.div_(by)
        # Some channels reach the cap: they must keep their size.
        net.stem.bias[1] = 7.0
    return net


IMAGES = tiny.noise(16)


def test_equalising_keeps_the_function_and_narrows_the_channels() -> None:
    net = apart()
    expected = predict(net, IMAGES, SPEC)
    graph = simulate(net, SPEC, "affine")
    calibrate(graph, IMAGES, SPEC, "minmax", 100)
    before = fidelity(predict(graph, IMAGES, SPEC), expected)
    kept = graph.get_parameter("stem.weight")[1].clone()

    def spread() -> float:
        per_channel = graph.get_parameter("stem.weight")[2:].detach().abs().flatten(1).amax(1)
        return float(per_channel.max() / per_channel.min())

    wide = spread()
    assert [pair.key for pair in find_pairs(graph)] == ["stem", "depth"]
    assert equalise(graph, IMAGES, SPEC) == 2
    set_simulation(graph, False)
    same = predict(graph, IMAGES, SPEC)
    set_simulation(graph, True)
    calibrate(graph, IMAGES, SPEC, "minmax", 100)
    after = fidelity(predict(graph, IMAGES, SPEC), expected)

    np.testing.assert_allclose(same, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert spread() < wide / 4
    assert after.sqnr_db > before.sqnr_db + 3
    assert torch.equal(graph.get_parameter("stem.weight")[1], kept)  # the channel at the cap


def test_equalising_leaves_alone_what_two_layers_read() -> None:
    class Forked(Chain):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.cap(self.stem(x))
            return self.head(self.relu(self.point(x + self.depth(x))).mean((2, 3)))

    assert find_pairs(simulate(Forked().eval(), SPEC, "affine")) == []


def test_bias_correction_takes_the_shift_off() -> None:
    net = Chain().eval()
    expected = predict(net, IMAGES, SPEC)
    graph = simulate(net, SPEC, "affine")
    calibrate(graph, IMAGES, SPEC, "minmax", 100)
    # Coarse ranges that cut the largest values: every later mean is too small.
    for module in graph.modules():
        if getattr(module, "key", "") == "stem" and hasattr(module, "high"):
            module.high.mul_(0.4)
    before = predict(graph, IMAGES, SPEC)
    shifts = correct_biases(graph, IMAGES, SPEC)
    after = predict(graph, IMAGES, SPEC)

    def shift(logits: Any) -> float:
        return float(np.abs(logits.mean(0) - expected.mean(0)).max())

    assert set(shifts) == {"stem", "depth", "point", "head"}
    assert shift(after) < 0.05 * shift(before)
    assert fidelity(after, expected).sqnr_db > fidelity(before, expected).sqnr_db


def test_sensitivity_finds_the_layer_that_was_made_sensitive() -> None:
    net = Chain().eval()
    graph = simulate(net, SPEC, "affine")
    calibrate(graph, IMAGES, SPEC, "minmax", 100)
    for module in graph.modules():
        # What the pointwise convolution reads gets four levels in place of 256.
        if getattr(module, "key", "") == "depth" and hasattr(module, "high"):
            module.high.mul_(64)
    levels = sensitivity.measure(graph, IMAGES, SPEC)
    worst = next(iter(levels))
    set_simulation(graph, True)
    rounded = fidelity(predict(graph, IMAGES, SPEC), predict(net, IMAGES, SPEC))
    leave_float(graph, [worst])
    mixed = fidelity(predict(graph, IMAGES, SPEC), predict(net, IMAGES, SPEC))

    assert worst == "point"
    assert set(levels) == {"stem", "depth", "point", "head"}
    assert levels["point"].sqnr_db < levels["head"].sqnr_db - 10
    assert mixed.sqnr_db > rounded.sqnr_db + 10
    with pytest.raises(ModelError, match="layer point: to be left in float, but no integer layer"):
        leave_float(graph, ["point"])


def ladder(**keys: Any) -> tiny.Variant:
    return variant("quantize", "base", method="ladder", **keys)


def climbed(folder: Path, name: str) -> rungs.Ladder:
    found = rungs.read(folder / "models" / name)
    assert found is not None
    return found


def test_the_ladder_stops_at_the_first_rung_that_is_enough(chain: Path, checkout: Path) -> None:
    write_params(checkout, variants={**tiny.CHAIN, "auto": ladder(max_drop=1)})
    tiny.run("quantize", "auto")
    record, stored = climbed(checkout, "auto"), ranges.read(checkout / "models/auto")

    assert (record.taken, list(record.rungs)) == ("ptq", ["ptq"])
    assert record.rungs["ptq"].sqnr_db > 10
    assert (stored.method, stored.observer, stored.float_layers) == ("ptq", "minmax", [])
    # Weights stay what they were; biases are rounded by ranges, which are of another observer.
    folders = (checkout / "models/auto", chain / "models/ptq")
    weights = [store.load(folder)[0].state_dict() for folder in folders]
    names = [name for name in weights[0] if name.endswith("weight")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in names)
    assert "null" not in (checkout / "models/auto" / rungs.FILE).read_text()


def damage(folder: Path) -> None:
    """A weight that nothing reads makes the others of its layer too small for 8 bits."""
    net, card = store.load(folder / "models/base")
    dead, layer = (net.get_submodule(f"features.2.conv.{name}") for name in ("1.1", "2"))
    with torch.no_grad():
        dead.weight[0], dead.bias[0] = 0, -1
        layer.weight[:, 0] = 1000 * layer.weight.abs().max()
    store.save(folder / "models/base", net, card)


@pytest.mark.slow
def test_the_ladder_climbs_until_the_layer_at_fault_is_float(checkout: Path) -> None:
    damage(checkout)
    write_params(checkout, variants={**tiny.CHAIN, "auto": ladder(max_drop=0.05)})
    tiny.run("quantize", "auto")
    folder = checkout / "models/auto"
    record, stored = climbed(checkout, "auto"), ranges.read(folder)
    ptq, taken = record.rungs["ptq"], record.rungs[record.taken]
    card = store.read_card(folder)
    test = load_split(checkout / "data/tints", "test", SPEC)
    expected = predict(store.load(checkout / "models/base")[0], test.images, SPEC)

    assert list(record.rungs) == [
        *("ptq", "equalised", "bias-corrected", "percentile", "mse", "mixed-1"),
    ]
    assert (taken.layer, stored.float_layers) == ("features.2.conv.2", ["features.2.conv.2"])
    assert taken.drop <= 0.05 < ptq.drop
    assert taken.sqnr_db > ptq.sqnr_db + 10
    assert card.precision == "mixed"
    # Its own input is needed by nothing else.
    assert "features.2.conv.1.0" not in stored.activations
    logits = store.load_reference(folder)["self"]
    assert fidelity(logits, expected).sqnr_db > 10
    assert json.loads((folder / rungs.FILE).read_text())["rungs"]["ptq"]["drop"] == ptq.drop


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "train", "last"),
    [
        ("none", 96, "qat left out: schedule none has no epochs"),
        ("one", 0, "qat left out: dataset tints has no train"),
        ("one", 96, "qat 0."),
    ],
)
def test_a_ladder_that_is_too_short_names_every_figure(
    checkout: Path, schedule: str, train: int, last: str
) -> None:
    damage(checkout)
    tiny.write_data(checkout, train=train)
    auto = ladder(max_drop=0.05, max_float_layers=0, schedule=schedule, freeze_batch_norm=0)
    write_params(checkout, variants={**tiny.CHAIN, "auto": auto})
    with pytest.raises(QuantizeError) as caught:
        tiny.run("quantize", "auto")
    message = str(caught.value)

    assert message.startswith("params.yaml: variants.auto: no rung of the ladder keeps")
    assert "max_drop 0.05" in message and "on 24 val images" in message
    for name in ("ptq", "equalised", "bias-corrected", "percentile", "mse"):
        assert f"{name} 0." in message
    assert last in message and "mixed" not in message
    assert "Raise max_drop or max_float_layers" in message
    assert not (checkout / "models/auto").exists()


def test_a_ladder_needs_images_to_judge_by(checkout: Path) -> None:
    tiny.write_data(checkout, val=0)
    write_params(checkout, variants={**tiny.CHAIN, "auto": ladder()})

    with pytest.raises(DataError, match=r"data/tints: its val split has no image"):
        tiny.run("quantize", "auto")
