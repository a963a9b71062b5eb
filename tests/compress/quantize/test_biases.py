from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.biases import round_biases
from edgesmith.compress.quantize.graph import (
    calibrate,
    read_ranges,
    read_weight_scales,
    simulate,
)
from edgesmith.compress.quantize.mixed import input_keys, leave_float
from edgesmith.compress.quantize.ranges import Quantization
from edgesmith.tasks import store
from edgesmith.tasks.fold import conv_norm_pairs, fold_batch_norm
from edgesmith.tasks.predict import predict
from tests import tiny
from tests.tiny import SPEC


def units(found: Quantization, layer: str, key: str) -> np.ndarray:
    held = found.activations[key]
    step = held.symmetric() if found.scheme == "symmetric" else held.affine()[0]
    return step * np.array(found.weights[layer])


@pytest.mark.parametrize("name", ["ptq", "qat"])
def test_stored_biases_are_whole_numbers_of_what_integer_kernels_count_in(
    chain: Path, name: str
) -> None:
    net, _ = store.load(chain / "models" / name)
    found = ranges.read(chain / "models" / name)
    keys = input_keys(simulate(net, SPEC, found.scheme))
    counts = [
        net.get_submodule(layer).bias.detach().double().numpy() / units(found, layer, key)
        for layer, key in keys.items()
    ]

    assert len(counts) == 53
    # Single precision leaves 24 bits of each.
    np.testing.assert_allclose(
        np.concatenate(counts), np.rint(np.concatenate(counts)), rtol=1e-6, atol=1e-3
    )


@pytest.mark.parametrize("scheme", ["affine", "symmetric"])
def test_a_bias_moves_by_half_a_unit_at_most_and_the_graph_follows(scheme: str) -> None:
    net, _ = tiny.network("mobilenet_v2")
    fold_batch_norm(net, conv_norm_pairs(net, SPEC.height, SPEC.width))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    graph = simulate(net, SPEC, scheme)
    calibrate(graph, tiny.noise(4), SPEC, "minmax", 100)
    leave_float(graph, ["features.2.conv.1.0"])
    found = Quantization(
        method="ptq",
        scheme=scheme,
        observer="minmax",
        images=4,
        activations=read_ranges(graph),
        weights=read_weight_scales(graph),
        float_layers=["features.2.conv.1.0"],
    )
    expected = predict(graph, tiny.noise(2), SPEC)
    round_biases(net, graph, found)

    keys = input_keys(graph)
    for layer, key in keys.items():
        moved = (net.get_submodule(layer).bias - before[f"{layer}.bias"]).detach().numpy()
        # Half a unit, and what single precision adds.
        assert (np.abs(moved) <= 0.5 * units(found, layer, key) + 1e-6).all(), layer
    changed = {name for name, value in net.state_dict().items() if not value.equal(before[name])}
    assert changed <= {f"{layer}.bias" for layer in keys}
    assert "features.2.conv.1.0.bias" not in changed and len(changed) > 40
    assert all(torch.equal(net.get_parameter(n), p) for n, p in graph.named_parameters())
    assert np.abs(predict(graph, tiny.noise(2), SPEC) - expected).max() > 0
