"""A detector through every step of the chain, to artifacts judged by their own runtimes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from edgesmith import contract as contracts
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import give_ranges, simulate
from edgesmith.errors import ParityError
from edgesmith.preprocess import Float32Array
from edgesmith.report import accuracy
from edgesmith.report.accuracy import sqnr_db
from edgesmith.tasks import store
from edgesmith.tasks.detect import task
from edgesmith.tasks.detect.networks import Detector
from edgesmith.tasks.predict import predict
from edgesmith.tasks.task import boxes_of
from tests import tiny, tiny_scenes
from tests.tiny_detector import SPEC
from tests.tiny_scenes import CHAIN

NOISE = torch.from_numpy(tiny.noise(2, SPEC.height)).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkout with a variant of every step, the current folder; models are to be read only."""
    folder = tmp_path_factory.mktemp("chain")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tiny_scenes.use_tiny_network(patch)
        tiny_scenes.write_data(folder)
        tiny_scenes.write_params(folder, variants=CHAIN)
        for model in ("net", "wide"):
            tiny.run("init", model)
        for name, variant in CHAIN.items():
            tiny.run(variant["step"], name)
        yield folder


def network(name: str) -> tuple[Detector, store.Card]:
    net, card = store.load(Path("models") / name)
    assert isinstance(net, Detector)
    return net, card


def stored(name: str) -> dict[str, Float32Array]:
    return store.load_reference(Path("models") / name)


def value(name: str) -> float:
    """mAP50-95 of a variant on the test split."""
    test, card = tiny_scenes.load(Path(), "test"), store.read_card(Path("models") / name)
    return task.metric(stored(name)["self"], test, boxes_of(card.network))


def shapes(net: nn.Module) -> list[tuple[int, ...]]:
    with torch.no_grad():
        return [tuple(level.shape) for level in net(NOISE)]


@pytest.mark.usefixtures("chain")
def test_training_finds_objects_and_keeps_both_heads() -> None:
    net, card = network("base")

    assert value("base") > 0.2
    assert (card.task, card.precision, card.batch_norm_folded) == ("detect", "fp32", False)
    assert len(card.trained["val_metric"]) == 7 and max(card.trained["val_metric"]) > 0.2
    assert len(net.heads()) == 4
    # What is for training alone is not counted.
    assert card.params == sum(p.numel() for p in net.deployed_parameters())
    assert card.params < sum(p.numel() for p in net.parameters())


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("name", ["base", "distilled", "half", "cut"])
def test_a_stored_network_gives_the_stored_predictions(name: str) -> None:
    net, card = network(name)
    test = tiny_scenes.load(Path(), "test")

    found = predict(net.float(), test.images, card.network.input)
    np.testing.assert_allclose(found, stored(name)["self"], atol=1e-4)


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize(("name", "precision"), [("ptq", "int8"), ("cut-mixed", "mixed")])
def test_stored_ranges_and_weights_give_the_stored_predictions(name: str, precision: str) -> None:
    net, card = network(name)
    found = ranges.read(Path("models") / name)
    graph = simulate(net, SPEC, found.scheme, found.float_layers)
    give_ranges(graph, found.activations)
    test = tiny_scenes.load(Path(), "test")

    assert (card.precision, card.batch_norm_folded) == (precision, 1)
    assert len(net.heads()) == 2
    np.testing.assert_allclose(predict(graph, test.images, SPEC), stored(name)["self"], atol=1e-3)


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("name", ["base", "cut", "cut-mixed"])
def test_folding_takes_the_other_head_and_changes_no_prediction(name: str) -> None:
    net, _ = network(name)
    folded, card = store.load_folded(Path("models") / name)
    kinds = [type(module) for module in folded.modules()]
    with torch.no_grad():
        for one, other in zip(net(NOISE), folded(NOISE), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)

    assert nn.BatchNorm2d not in kinds
    assert sum(p.numel() for p in folded.parameters()) <= card.params
    assert len(folded.heads()) == 2


@pytest.mark.usefixtures("chain")
def test_references_are_of_the_variant_its_parent_and_its_baseline() -> None:
    base, cut, quantized = (stored(name) for name in ("base", "cut", "cut-mixed"))

    assert set(base) == {"self", "baseline"}
    assert set(quantized) == {"self", "parent", "baseline"}
    assert np.array_equal(quantized["parent"], cut["self"])
    assert np.array_equal(quantized["baseline"], base["self"])
    assert quantized["self"].shape == (12, 8 * 8 + 4 * 4 + 2 * 2, 6)


@pytest.mark.usefixtures("chain")
def test_pruning_takes_channels_out_and_leaves_maps_and_attention_whole() -> None:
    (whole, before), (net, after) = network("base"), network("cut")
    fixed = {name for name, m in net.named_modules() if m in task.fixed_channels(net)}
    kept = {name for name in fixed if before.layers[name].outputs == after.layers[name].outputs}
    other = [name for name in after.layers if name not in fixed]
    smaller = [n for n in other if after.layers[n].outputs < before.layers[n].outputs]

    assert kept == fixed and len(fixed) == 12 + 5
    assert len(smaller) > 0.8 * len(other)
    assert all(layer.outputs % 4 == 0 for n, layer in after.layers.items() if n in smaller)
    assert after.macs < 0.6 * before.macs and after.params < 0.6 * before.params
    assert after.trained["macs_removed"] == pytest.approx(1 - after.macs / before.macs)
    assert shapes(net) == shapes(whole)
    # The head that only trains was pruned along.
    assert len(shapes(net.train())) == len(shapes(whole.train())) == 12


@pytest.mark.usefixtures("chain")
def test_a_wider_teacher_guides_and_its_figures_are_kept() -> None:
    net, card = network("distilled")
    teacher, wide = card.trained["teacher"], store.read_card(Path("models/wide"))

    assert teacher["name"] == "wide" and 0 <= teacher["val_metric"] <= 1
    assert (teacher["params"], teacher["macs"]) == (wide.params, wide.macs)
    assert wide.params > 1.5 * card.params
    before = network("base")[0].state_dict()
    assert not all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())


@pytest.mark.usefixtures("chain")
def test_half_precision_rounds_weights_and_little_else() -> None:
    net, card = network("half")

    assert {p.dtype for p in net.parameters()} == {torch.float16}
    assert (card.precision, card.batch_norm_folded) == ("fp16", True)
    assert sqnr_db(stored("half")["self"], stored("half")["parent"]) > 45
    assert value("half") == pytest.approx(value("base"), abs=0.05)


@pytest.mark.usefixtures("chain")
def test_integers_cost_little() -> None:
    learned, calibrated = (ranges.read(Path("models") / name) for name in ("qat", "ptq"))

    assert 15 < sqnr_db(stored("ptq")["self"], stored("ptq")["parent"]) < 60
    assert value("ptq") > value("base") - 0.1
    assert list(learned.activations) == list(calibrated.activations)
    assert learned.activations != calibrated.activations
    assert [len(p["val_metric"]) for p in network("qat")[1].trained["phases"]] == [1]


@pytest.mark.usefixtures("chain")
def test_attention_kept_float_has_no_ranges() -> None:
    found, all_layers = (ranges.read(Path("models") / name) for name in ("cut-mixed", "ptq"))
    attention = [key for key in all_layers.weights if ".attn." in key]

    assert len(attention) == 5 and sorted(found.float_layers) == sorted(attention)
    assert list(found.weights) == [key for key in all_layers.weights if key not in attention]


FORMATS = ["onnx", "ncnn", pytest.param("tflite", marks=pytest.mark.slow)]


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("format_name", FORMATS)
def test_an_artifact_is_proven_judged_and_recorded(format_name: str) -> None:
    tiny.run(f"export_{format_name}", "ptq")
    tiny.run("evaluate_detect", "ptq", format_name)
    contract = contracts.verify(Path(f"artifacts/ptq/{format_name}"))
    record = accuracy.read(Path(f"metrics/accuracy/ptq.{format_name}.json"))

    assert contract.boxes is not None and contract.boxes.head == "one-to-one"
    assert [output.stride for output in contract.outputs] == [8, 8, 16, 16, 32, 32]
    assert contract.parity.images == 12 and contract.parity.agreement >= 0.6
    assert (record.task, record.metric, record.precision) == ("detect", "map50_95", "int8")
    assert record.value == pytest.approx(record.value_of_self, abs=0.1)
    assert record.value_of_self == pytest.approx(value("ptq"), abs=1e-6)
    assert record.value_ci95.low < record.value < record.value_ci95.high
    assert record.delta_vs_baseline == pytest.approx(record.value - value("base"), abs=1e-5)
    assert record.agreement_vs_parent > 0.5 and record.sqnr_db > 12
    assert (
        record.images == 12
        and record.size_bytes < 0.5 * store.read_card(Path("models/ptq")).params * 4
    )


def test_what_is_damaged_does_not_pass_the_gate(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(chain / "data", tmp_path / "data")
    shutil.copytree(chain / "models/base", tmp_path / "models/base")
    shutil.copy(chain / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    path = Path("models/base/weights.safetensors")
    state = safetensors.torch.load_file(path)
    state["scores.0.2.bias"] += 1
    safetensors.torch.save_file(state, path)

    with pytest.raises(ParityError) as caught:
        tiny.run("export_ncnn", "base")
    message = str(caught.value)
    assert message.startswith("artifacts/base/ncnn differs from models/base on 12 images: ")
    assert "max_abs_diff is 1, above 0.01" in message
    assert not Path("artifacts/base/ncnn").exists()
