from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from edgesmith import contract as contracts
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import simulate
from edgesmith.compress.quantize.mixed import input_keys
from edgesmith.data.classify.store import load_split
from edgesmith.errors import ExportError, ParityError
from edgesmith.formats import ncnn_keys, ncnn_layers
from edgesmith.formats.ncnn import BINARY, PARAM, Written, _convert, export
from edgesmith.ncnn_int8 import model as models
from edgesmith.report.accuracy import sqnr_db
from edgesmith.runtimes import ncnn as runtime
from edgesmith.runtimes import session
from edgesmith.tasks import store
from tests import tiny

PRECISIONS = {"base": "fp32", "half": "fp16", "ptq": "int8"}


@dataclass
class Case:
    """An untrained network of any architecture, quantized, and its NCNN artifact."""

    variant: Path
    folder: Path
    written: Written


Made = Callable[[str], Case]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """By architecture; made on first use, to be read only."""

    @cache
    def make(architecture: str) -> Case:
        folder = tmp_path_factory.mktemp(architecture)
        variant, artifact = folder / "models/int", folder / "ncnn"
        tiny.store_quantized(variant, architecture)
        artifact.mkdir()
        return Case(variant, artifact, export(variant, artifact))

    return make


@pytest.mark.parametrize("name", PRECISIONS)
def test_an_artifact_runs_as_its_variant_does(exported_ncnn: Path, name: str) -> None:
    opened = session.load(exported_ncnn / "artifacts" / name / "ncnn")
    test = load_split(exported_ncnn / "data/tints", "test", tiny.SPEC)
    logits = session.predict(opened, test.images)
    reference = store.load_reference(exported_ncnn / "models" / name)["self"]

    assert sqnr_db(logits, reference) > {"base": 100, "half": 35, "ptq": 15}[name]
    assert opened.contract.precision == PRECISIONS[name]
    assert opened.contract.labels == tiny.LABELS


@pytest.mark.parametrize("name", PRECISIONS)
def test_a_contract_proves_the_parity_that_was_measured(exported_ncnn: Path, name: str) -> None:
    contract = contracts.verify(exported_ncnn / "artifacts" / name / "ncnn")

    assert (contract.format, contract.variant) == ("ncnn", name)
    assert contract.parity.images == 32
    assert contract.parity.against == f"models/{name}"
    assert (contract.input.layout, contract.input.dtype) == ("NCHW", "float32")
    assert contract.input.shape == [1, 3, tiny.SIZE, tiny.SIZE]
    assert list(contract.files) == [BINARY, PARAM]


@pytest.mark.parametrize("name", PRECISIONS)
def test_an_artifact_does_not_know_where_it_was_made(exported_ncnn: Path, name: str) -> None:
    text = (exported_ncnn / "artifacts" / name / "ncnn" / PARAM).read_text()
    for path in (str(Path.home()), str(exported_ncnn), "site-packages", "/tmp"):
        assert path not in text


def test_every_weighted_layer_of_an_int8_artifact_is_int8(exported_ncnn: Path) -> None:
    text = (exported_ncnn / "artifacts/ptq/ncnn" / PARAM).read_text()
    kinds = [line.split()[0] for line in text.splitlines()[2:]]
    integer = [line for line in text.splitlines()[2:] if " 8=" in line]
    between = [line for line in integer if " 8=101" in line or " 8=102" in line]

    assert len(integer) == sum(kind in models.WEIGHTED for kind in kinds) == 53
    # Of each block, expansion and depthwise feed the next layer alone; and the stem does.
    assert len(between) >= 2 * 16


def test_half_precision_is_half_the_size(exported_ncnn: Path) -> None:
    size = {
        name: (exported_ncnn / "artifacts" / name / "ncnn" / BINARY).stat().st_size
        for name in PRECISIONS
    }
    assert size["half"] < 0.52 * size["base"]
    # Narrow channels: biases and scales weigh more here than in networks of full width.
    assert size["ptq"] < 0.4 * size["base"]


@pytest.mark.slow
def test_a_network_of_full_width_shrinks_to_less_than_three_tenths(made: Made) -> None:
    case = made("efficientnet_lite0")
    net, _ = store.load(case.variant)
    floats = sum(4 * value.numel() for value in net.parameters())
    assert (case.folder / BINARY).stat().st_size <= 0.30 * floats


# Additions; "same" padding; squeeze and excitation, hard swish.
@pytest.mark.parametrize(
    "architecture",
    [
        "resnet18",
        pytest.param("efficientnet_lite0", marks=pytest.mark.slow),
        pytest.param("mobilenet_v3_small", marks=pytest.mark.slow),
    ],
)
def test_ranges_reach_their_tensors_whatever_the_network(made: Made, architecture: str) -> None:
    case = made(architecture)
    opened = runtime.load(case.folder, case.written.description, 1, ["cpu"])
    logits = session.predict(opened, tiny.noise(8))
    reference = store.load_reference(case.variant)["self"]
    ranking = ncnn_layers.rank(case.variant, case.folder, case.written.blobs, tiny.noise(2))
    net, card = store.load(case.variant)
    keys = input_keys(simulate(net, card.network.input, "affine"))

    assert sqnr_db(logits, reference) > 15
    # A range at the wrong tensor shows there, even where the logits hide it.
    assert ranking[0][1] > 12, ranking[:3]
    assert {key for key, _ in ranking} == set(keys.values())
    assert [level for _, level in ranking] == sorted(level for _, level in ranking)


@pytest.mark.slow
def test_exporting_again_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    case = made("resnet18")
    export(case.variant, tmp_path)
    for name in (PARAM, BINARY):
        assert (tmp_path / name).read_bytes() == (case.folder / name).read_bytes()


@pytest.mark.slow
def test_the_layer_at_fault_comes_before_those_that_it_spoils(made: Made, tmp_path: Path) -> None:
    case = made("resnet18")
    shutil.copytree(case.variant, tmp_path / "models/int")
    quantization = ranges.read(case.variant)
    # Steps of a third: all weights above a third of the largest are clipped.
    quantization.weights["layer3.0.conv1"] = [
        step / 3 for step in quantization.weights["layer3.0.conv1"]
    ]
    (tmp_path / "models/int" / ranges.FILE).write_text(quantization.model_dump_json())
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    written = export(tmp_path / "models/int", artifact)
    images = tiny.noise(2)
    levels = dict(ncnn_layers.rank(case.variant, artifact, written.blobs, images))
    intact = dict(ncnn_layers.rank(case.variant, case.folder, case.written.blobs, images))

    # What it gives is what the next convolution reads.
    assert levels["layer3.0.conv1"] < intact["layer3.0.conv1"] - 6
    for key, level in levels.items():
        if key.startswith(("input", "layer1", "layer2")):
            assert level == pytest.approx(intact[key], abs=0.01)


@pytest.mark.slow
def test_an_artifact_outside_its_tolerance_is_not_written(
    exported_ncnn: Path, checkout: Path
) -> None:
    shutil.copytree(exported_ncnn / "models/ptq", "models/ptq")
    unreachable = {"max_abs_diff": 9, "min_sqnr_db": 190, "min_agreement": 0, "max_metric_drop": 1}
    tiny.write_params(
        checkout,
        variants=tiny.CHAIN,
        tolerances={"classify": {**tiny.TOLERANCES, "int8": unreachable}},
    )

    with pytest.raises(ParityError) as caught:
        tiny.run("export_ncnn", "ptq")
    message = str(caught.value)
    levels = [float(line.split()[0]) for line in message.splitlines() if " dB  " in line]

    assert message.startswith("artifacts/ptq/ncnn differs from models/ptq on 32 images: sqnr_db is")
    assert "features." in message
    assert len(levels) == 10 and levels == sorted(levels)
    assert list(Path("artifacts/ptq").iterdir()) == []


def test_a_missing_range_is_refused_with_the_layer_and_tensor(made: Made, tmp_path: Path) -> None:
    case = made("resnet18")
    shutil.copytree(case.variant, tmp_path / "models/int")
    quantization = ranges.read(case.variant)
    del quantization.activations["layer2.0/add"]
    (tmp_path / "models/int" / ranges.FILE).write_text(quantization.model_dump_json())
    with pytest.raises(
        ExportError,
        match=r"layer layer2.1.conv1: quantization.json has no range for 'layer2.0/add'",
    ):
        export(tmp_path / "models/int", tmp_path)


def test_a_model_with_weights_of_another_network_is_refused(made: Made, tmp_path: Path) -> None:
    case = made("resnet18")
    net, card = store.load(case.variant)
    layers = list(input_keys(simulate(net, card.network.input, "affine")))
    _convert(net, tiny.SIZE, tiny.SIZE, tmp_path, half=False)
    model = models.read(tmp_path / PARAM, tmp_path / BINARY)
    changed = list(model.layers)
    at = next(n for n, layer in enumerate(changed) if layer.kind == "Convolution")
    changed[at] = replace(changed[at], data=changed[at].data[:4] + bytes(len(changed[at].data) - 4))

    assert sorted(ncnn_keys.match(model, net, layers).values()) == sorted(layers)
    with pytest.raises(ExportError, match=f"layer {changed[at].name} .* weights of no layer"):
        ncnn_keys.match(models.Model(tuple(changed)), net, layers)
    with pytest.raises(ExportError, match="layer extra: pnnx dropped it"):
        net.extra = net.fc
        ncnn_keys.match(model, net, [*layers, "extra"])


def test_equal_layers_are_told_apart_by_their_order(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.Sigmoid())
    net[2].load_state_dict(net[0].state_dict())
    _convert(net.eval(), 8, 8, tmp_path, half=False)
    model = models.read(tmp_path / PARAM, tmp_path / BINARY)
    matched = ncnn_keys.match(model, net, ["0", "2"])
    assert [matched[layer.name] for layer in model.weighted()] == ["0", "2"]


def test_what_pnnx_cannot_convert_is_an_export_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    monkeypatch.setattr("pnnx.EXEC_PATH", "/bin/false")
    with pytest.raises(ExportError, match="ended with status 1 and cannot convert this network"):
        _convert(Broken(), 8, 8, tmp_path, half=False)
    monkeypatch.setattr("pnnx.EXEC_PATH", str(tmp_path / "missing"))
    with pytest.raises(ExportError, match="pnnx did not finish"):
        _convert(Broken(), 8, 8, tmp_path, half=False)
    assert not list(tmp_path.iterdir())
