from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import give_ranges, read_weight_scales, simulate
from edgesmith.data.classify.store import load_split
from edgesmith.errors import DataError, ModelError
from edgesmith.report.accuracy import sqnr_db
from edgesmith.scoring.classify import agreement
from edgesmith.tasks import store
from edgesmith.tasks.fold import conv_norm_pairs, fold_batch_norm
from edgesmith.tasks.predict import predict
from tests import tiny
from tests.tiny import COUNTS, SPEC, variant, write_params


@pytest.mark.parametrize("name", ["ptq", "qat"])
def test_every_tensor_and_every_layer_has_its_range(chain: Path, name: str) -> None:
    stored = ranges.read(chain / "models" / name)
    net, card = store.load(chain / "models" / name)
    layers = [key for key, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]

    assert (stored.method, stored.scheme, stored.observer) == (name, "affine", "mse")
    assert stored.images == COUNTS["calibration"]
    assert list(stored.weights) == layers == list(card.layers)
    assert all(len(stored.weights[key]) == card.layers[key].outputs for key in layers)
    # The logits stay float; additions have a range of their own.
    assert set(layers) - set(stored.activations) == {"classifier.1"}
    assert {"input", "features.3/add"} <= set(stored.activations) - set(layers)
    assert (card.precision, card.batch_norm_folded) == ("int8", True)


@pytest.mark.parametrize("name", ["ptq", "qat"])
def test_stored_ranges_and_weights_give_the_stored_logits(chain: Path, name: str) -> None:
    folder = chain / "models" / name
    net, _ = store.load(folder)
    stored = ranges.read(folder)
    graph = simulate(net, SPEC, stored.scheme)
    give_ranges(graph, stored.activations)
    test = load_split(chain / "data/tints", "test", SPEC)
    scales = read_weight_scales(graph)

    expected = store.load_reference(folder)["self"]
    np.testing.assert_allclose(predict(graph, test.images, SPEC), expected, atol=1e-4)
    assert all(scales[key] == pytest.approx(stored.weights[key], rel=1e-5) for key in scales)


def test_calibration_keeps_the_decisions_and_the_weights(chain: Path) -> None:
    logits = store.load_reference(chain / "models/ptq")
    folded = store.load(chain / "models/ptq")[0]
    base = store.load(chain / "models/base")[0]

    assert agreement(logits["self"], logits["parent"]) >= 0.9
    assert 10 < sqnr_db(logits["self"], logits["parent"]) < 60
    # Biases alone change, by half an int32's step at most: test_biases.
    fold_batch_norm(base, conv_norm_pairs(base, SPEC.height, SPEC.width))
    weights = {name: value for name, value in base.state_dict().items() if name.endswith("weight")}
    assert len(weights) == 53
    assert all(torch.equal(folded.state_dict()[name], weights[name]) for name in weights)
    assert store.read_card(chain / "models/ptq").trained == {}


def test_learning_changes_weights_and_ranges(chain: Path) -> None:
    learned, calibrated = (ranges.read(chain / "models" / name) for name in ("qat", "ptq"))
    card = store.read_card(chain / "models/qat")
    weights = [store.load(chain / "models" / name)[0].state_dict() for name in ("qat", "ptq")]

    assert list(learned.activations) == list(calibrated.activations)
    assert learned.activations != calibrated.activations
    assert not all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    # One phase while batch statistics live, one with the folded network.
    assert [len(phase["val_metric"]) for phase in card.trained["phases"]] == [1, 1]
    assert all(map(math.isfinite, card.trained["phases"][1]["val_metric"]))


@pytest.mark.slow
def test_a_folded_network_learns_without_live_statistics(checkout: Path) -> None:
    write_params(
        checkout,
        variants={
            "base": tiny.BASE,
            "ptq": variant("quantize", "base", method="ptq", scheme="symmetric"),
            "learned": variant(
                "quantize", "base", method="qat", scheme="symmetric", schedule="one",
                freeze_batch_norm=0, freeze_observers=0,
            ),
        },
    )  # fmt: skip
    tiny.run("quantize", "ptq")
    tiny.run("quantize", "learned")
    learned, calibrated = (ranges.read(checkout / "models" / name) for name in ("learned", "ptq"))
    logits = store.load_reference(checkout / "models/learned")

    # Observers are frozen from the first step on: the ranges are the calibrated ones.
    assert learned.activations == calibrated.activations
    assert learned.weights != calibrated.weights
    assert learned.scheme == "symmetric"
    assert not np.array_equal(logits["self"], logits["parent"])
    assert len(store.read_card(checkout / "models/learned").trained["phases"]) == 1
    assert not (checkout / "tmp/checkpoints/learned").exists()


@pytest.mark.parametrize("parent", ["ptq", "half"])
def test_a_parent_that_is_not_single_precision_is_refused(
    chain: Path, checkout: Path, parent: str
) -> None:
    shutil.copytree(chain / "models" / parent, checkout / "models" / parent)
    again = variant("quantize", parent, method="ptq")
    write_params(checkout, variants={**tiny.CHAIN, "again": again})

    with pytest.raises(ModelError, match=rf"variants\.again\.parent: {parent} is .* already"):
        tiny.run("quantize", "again")
    assert not (checkout / "models/again").exists()


@pytest.mark.parametrize(
    ("split", "name", "key"),
    [("calibration", "ptq", "calibration"), ("test", "ptq", "test"), ("val", "small", "val"),
     ("train", "small", "train")],
)  # fmt: skip
def test_an_empty_split_is_named_before_anything_is_made(
    checkout: Path, split: str, name: str, key: str
) -> None:
    tiny.write_data(checkout, **{split: 0})
    write_params(checkout, variants=tiny.CHAIN)

    with pytest.raises(DataError, match=rf"data/tints: its {split} split .*datasets\.tints\.{key}"):
        tiny.run(tiny.CHAIN[name]["step"], name)
    assert not (checkout / "models" / name).exists()
