"""Ranges of a detector: SiLU in two operators, attention in float, maps in float."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgesmith.compress.quantize.graph import (
    calibrate,
    read_ranges,
    read_weight_scales,
    set_stage,
    simulate,
    tensor_ranges,
)
from edgesmith.compress.quantize.mixed import input_keys, matching
from edgesmith.compress.quantize.ranges import SIGMOID
from edgesmith.compress.quantize.silu import without_silu
from edgesmith.errors import ModelError, ParamsError
from edgesmith.tasks.detect.networks import Detector
from tests import tiny_detector as tiny

ATTENTION = "layers.7.m.0.attn"
MAPS = {f"{kind}.{level}.2" for kind in ("boxes", "scores") for level in range(3)}


@pytest.fixture(scope="module")
def net() -> Detector:
    return tiny.folded(tiny.network())


def test_every_layer_has_integer_weights_and_the_maps_stay_float(net: Detector) -> None:
    graph = simulate(net, tiny.SPEC, "affine")
    layers = {name for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}
    keys = tensor_ranges(graph)

    assert set(input_keys(graph)) == set(read_weight_scales(graph)) == layers
    assert not MAPS & keys.keys()
    assert layers - MAPS < keys.keys()


def test_a_sigmoid_and_a_product_follow_each_layer_with_silu(net: Detector) -> None:
    keys = list(tensor_ranges(simulate(net, tiny.SPEC, "affine")))
    gates = [key for key in keys if key.endswith("/sigmoid")]

    assert len(gates) == sum(isinstance(m, nn.SiLU) for _, m in places(net))
    for key in gates:
        at = keys.index(key)
        path = key.removesuffix(".act/sigmoid")
        assert keys[at - 1 : at + 2] == [f"{path}.conv", key, f"{path}.act/mul"]


def places(net: nn.Module) -> list[tuple[str, nn.Module]]:
    return list(net.named_modules(remove_duplicate=False))


def test_the_range_of_a_sigmoid_is_given_and_never_learned(net: Detector) -> None:
    graph = simulate(net, tiny.SPEC, "affine")
    calibrate(graph, tiny.images(4), tiny.SPEC, "mse", 100)
    set_stage(graph, "average")
    graph(torch.zeros(2, 3, tiny.SIZE, tiny.SIZE))
    found = read_ranges(graph)

    assert SIGMOID.affine() == (1 / 256, -128)
    assert {found[key] for key in found if key.endswith("/sigmoid")} == {SIGMOID}


def test_between_the_products_of_attention_nothing_is_rounded(net: Detector) -> None:
    keys = tensor_ranges(simulate(net, tiny.SPEC, "affine"))
    within = {key.removeprefix(ATTENTION) for key in keys if key.startswith(ATTENTION)}
    layers = {f".{name}.conv" for name in ("query", "key", "value", "pe", "proj")}

    assert within == {*layers, "/add"}


@pytest.mark.slow
def test_a_network_in_training_has_the_same_ranges(net: Detector) -> None:
    training = tiny.network()
    training.drop_other_head()
    graph = simulate(training.train(), tiny.SPEC, "affine")
    calibrate(graph, tiny.images(4), tiny.SPEC, "minmax", 100)

    expected = simulate(net, tiny.SPEC, "affine")
    assert read_ranges(graph).keys() == tensor_ranges(expected).keys()
    assert input_keys(graph) == input_keys(expected)


def test_layers_are_kept_float_by_pattern_with_what_only_they_read(net: Detector) -> None:
    every = simulate(net, tiny.SPEC, "affine")
    layers = matching(["*attn*", "boxes.?.2"], input_keys(every), "variants.x.keep_float")
    names = ["value", "query", "key", "pe", "proj"]
    assert set(layers) == {f"{ATTENTION}.{name}.conv" for name in names} | {
        f"boxes.{level}.2" for level in range(3)
    }

    graph = simulate(net, tiny.SPEC, "affine", layers)
    gone = tensor_ranges(every).keys() - tensor_ranges(graph).keys()

    # What the projection gives is added to an integer tensor, what enters the block is read twice.
    assert gone == {
        *(f"{ATTENTION}.{name}.conv" for name in ("query", "key", "value", "pe")),
        f"{ATTENTION}/add",
        *(f"boxes.{level}.1.act/mul" for level in range(3)),
    }
    assert not set(layers) & read_weight_scales(graph).keys()


def test_a_pattern_that_fits_nothing_is_named() -> None:
    with pytest.raises(
        ParamsError, match=r"variants\.x\.keep_float: '\*atn\*' fits no .*called a\.conv … b\.conv"
    ):
        matching(["a*", "*atn*"], ["a.conv", "b.conv"], "variants.x.keep_float")


def test_two_operators_compute_what_silu_does_with_the_same_weights(net: Detector) -> None:
    twin = without_silu(net)
    inputs = torch.rand(1, 3, tiny.SIZE, tiny.SIZE)
    with torch.no_grad():
        for ours, theirs in zip(twin(inputs), net(inputs), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)

    assert not any(isinstance(module, nn.SiLU) for module in twin.modules())
    assert any(isinstance(module, nn.SiLU) for module in net.modules())
    for (name, own), (other, shared) in zip(
        twin.named_parameters(), net.named_parameters(), strict=True
    ):
        assert name == other and own is shared


def test_a_network_without_silu_is_left_alone() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    assert without_silu(plain) is plain


def test_a_layer_that_reads_a_float_product_is_named() -> None:
    class Products(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.after = nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.after(x @ x.transpose(2, 3))
            return result

    with pytest.raises(ModelError, match="layer after: it reads a value that stays float"):
        simulate(Products().eval(), tiny.SPEC, "affine")
