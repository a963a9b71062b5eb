from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from edgesmith.compress.quantize.fake import PerChannelWeight
from edgesmith.compress.quantize.graph import (
    calibrate,
    give_ranges,
    read_ranges,
    read_weight_scales,
    set_stage,
    simulate,
    tensor_ranges,
)
from edgesmith.errors import ModelError
from edgesmith.params import Model
from edgesmith.preprocess import Preprocess, UInt8Array
from edgesmith.tasks.classify.networks import build
from edgesmith.tasks.fold import conv_norm_pairs, fold_batch_norm
from edgesmith.tasks.predict import predict
from tests.tiny import SIZE, SPEC, noise

SMALL = Preprocess(height=8, width=8, mean=(127, 127, 127), std=(64, 64, 64))


def scale_keys(graph: GraphModule) -> list[str]:
    return sorted(m.key for m in graph.modules() if isinstance(m, PerChannelWeight))


# mobilenet_v2: test_step.py, where the ranges of one graph are given to the other.
@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v3_small", "efficientnet_lite0"])
def test_a_range_has_the_same_key_while_batch_norm_lives(architecture: str) -> None:
    torch.manual_seed(0)
    net = build(Model(task="classify", architecture=architecture, dataset="any", input=SPEC), 4)
    live = simulate(net.train(), SPEC, "affine")
    fold_batch_norm(net, conv_norm_pairs(net, SIZE, SIZE))
    frozen = simulate(net, SPEC, "affine")
    layers = [name for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]

    assert list(tensor_ranges(live)) == list(tensor_ranges(frozen))
    assert scale_keys(live) == scale_keys(frozen) == sorted(layers)


class Wave(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)


class Small(nn.Module):
    """A residual addition, a concatenation, pooling; `between` is what the test is about."""

    def __init__(self, between: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.between = between or nn.ReLU()
        self.body = nn.Conv2d(4, 4, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.between(self.stem(x))
        x = torch.cat([x + self.body(x), x], 1)
        return self.head(torch.flatten(self.pool(x), 1))


@pytest.fixture
def images() -> UInt8Array:
    return noise(8, 8)


def calibrated(
    images: UInt8Array, scheme: str = "affine", net: nn.Module | None = None
) -> GraphModule:
    graph = simulate((net or Small()).eval(), SMALL, scheme)
    calibrate(graph, images, SMALL, "minmax", 99.9)
    return graph


def test_integer_kernels_write_after_their_activation(images: UInt8Array) -> None:
    found = read_ranges(calibrated(images))

    assert list(found) == ["input", "stem", "body", "/add", "/concat"]
    assert found["stem"].low == 0 < found["stem"].high
    assert found["body"].low < 0


def test_minmax_ranges_are_what_the_images_reach(images: UInt8Array) -> None:
    found = read_ranges(calibrated(images))["input"]

    assert found.low == pytest.approx((int(images.min()) - 127) / 64, rel=1e-5)
    assert found.high == pytest.approx((int(images.max()) - 127) / 64, rel=1e-5)


def test_calibration_sees_the_float_network(images: UInt8Array) -> None:
    """Ranges of one tensor must not depend on the rounding of those before it."""
    net = Small().eval()
    seen: list[torch.Tensor] = []
    net.body.register_forward_hook(lambda *call: seen.append(call[-1]))
    predict(net, images, SMALL)
    found = read_ranges(calibrated(images))["body"]

    assert found.high == pytest.approx(seen[0].max().item(), rel=1e-4)
    assert found.low == pytest.approx(seen[0].min().item(), rel=1e-4)


def test_calibration_does_not_depend_on_the_order_of_images(images: UInt8Array) -> None:
    def found(order: slice) -> dict[str, object]:
        graph = simulate(Small().eval(), SMALL, "affine")
        calibrate(graph, images[order], SMALL, "mse", 99.9)
        return {key: (r.low, r.high) for key, r in read_ranges(graph).items()}

    forwards, backwards = found(slice(None)), found(slice(None, None, -1))
    for key, ends in forwards.items():
        assert backwards[key] == pytest.approx(ends, rel=1e-3)


@pytest.mark.parametrize("scheme", ["affine", "symmetric"])
def test_eight_bits_stay_close_to_the_float_network(images: UInt8Array, scheme: str) -> None:
    net = Small().eval()
    expected = predict(net, images, SMALL)
    found = predict(calibrated(images, scheme), images, SMALL)

    assert 0 < abs(found - expected).max() < 0.03 * abs(expected).max()


def test_symmetric_tensors_have_no_zero_point(images: UInt8Array) -> None:
    tensors = tensor_ranges(calibrated(images, "symmetric"))

    assert all(tensor.calculate_qparams()[1].item() == 0 for tensor in tensors.values())
    assert all(tensor.quant_min == -127 for tensor in tensors.values())


def test_weight_scales_are_the_largest_of_each_channel(images: UInt8Array) -> None:
    net = Small()
    scales = read_weight_scales(calibrated(images, net=net))

    assert list(scales) == ["stem", "body", "head"]
    for layer in ("stem", "body", "head"):
        weight = net.get_submodule(layer).weight.detach()
        expected = weight.flatten(1).abs().amax(1) / 127
        assert scales[layer] == pytest.approx(expected.tolist(), rel=1e-6)


def test_given_ranges_are_those_that_were_read(images: UInt8Array) -> None:
    found = read_ranges(calibrated(images))
    fresh = simulate(Small().eval(), SMALL, "affine")
    give_ranges(fresh, found)

    assert read_ranges(fresh) == found
    assert (predict(fresh, images, SMALL) == predict(calibrated(images), images, SMALL)).all()


@pytest.mark.parametrize("extra", [True, False])
def test_ranges_of_another_network_name_the_layer(images: UInt8Array, extra: bool) -> None:
    graph = calibrated(images)
    found = read_ranges(graph)
    changed = (
        {**found, "tail": found["body"]} if extra else {k: found[k] for k in found if k != "body"}
    )

    with pytest.raises(ModelError, match=f"layer {'tail' if extra else 'body'}: the ranges and"):
        give_ranges(graph, changed)


def test_an_operator_without_a_rule_names_its_layer() -> None:
    with pytest.raises(ModelError, match=r"layer between: the operator aten\.sin\.default has no"):
        simulate(Small(Wave()).eval(), SMALL, "affine")


def test_a_tensor_that_is_always_zero_names_its_layer(images: UInt8Array) -> None:
    net = Small()
    nn.init.zeros_(net.stem.weight)
    nn.init.constant_(net.stem.bias, -1)

    with pytest.raises(
        ModelError, match="layer stem: its values on the calibration images are all"
    ):
        read_ranges(calibrated(images, net=net))


def test_a_layer_that_is_called_twice_has_two_ranges(images: UInt8Array) -> None:
    class Twice(Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.between(self.body(self.between(self.body(self.stem(x)))))
            return self.head(torch.flatten(self.pool(torch.cat([x, x], 1)), 1))

    found = read_ranges(calibrated(images, net=Twice()))

    assert {"body", "body#1"} <= set(found)


def test_learned_ranges_move_towards_what_is_seen(images: UInt8Array) -> None:
    graph = calibrated(images)
    before = read_ranges(graph)["input"]
    darker = (images // 4).astype(images.dtype)
    set_stage(graph, "average")
    predict(graph, darker, SMALL)
    after = read_ranges(graph)["input"]
    set_stage(graph, "fixed")
    predict(graph, images, SMALL)

    seen = (int(darker.max()) - 127) / 64
    assert max(seen, 0) < after.high < before.high
    assert read_ranges(graph)["input"] == after


def test_the_stored_weights_are_found_under_the_names_of_the_network(images: UInt8Array) -> None:
    net = Small()

    assert dict(net.named_parameters()).keys() <= calibrated(images, net=net).state_dict().keys()
