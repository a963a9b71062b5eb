"""A detector's maps through every runtime: one array of predictions, whatever the maps are like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesmith import contract as contracts
from edgesmith.contract import Input, Output
from edgesmith.errors import ContractError
from edgesmith.preprocess import normalise
from edgesmith.runtimes import session as runtimes
from tests import detector
from tests.artifacts import make_artifact
from tests.detector import CELLS, SPEC, STRIDES, describe, expected, make_detector, outputs
from tests.ncnn_int8 import nets


def input_of(name: str, layout: str = "NCHW") -> Input:
    size = [SPEC.height, SPEC.width]
    shape = [1, 3, *size] if layout == "NCHW" else [1, *size, 3]
    return Input(name=name, layout=layout, dtype="float32", shape=shape, preprocess=SPEC)


def make_ncnn(folder: Path) -> Path:
    make_artifact(folder)
    (folder / "model.onnx").unlink()
    splits = [nets.plain("Split", "split", "in0", "a0 a1")]
    layers = []
    for level, stride in enumerate(STRIDES):
        pool = nets.plain(
            "Pooling", f"pool{stride}", f"a{level}", f"p{level}", p0=1, p1=stride, p2=stride
        )
        layers += [pool, nets.plain("Split", f"split{stride}", f"p{level}", f"b{level} s{level}")]
        for blob, number, weight, bias in (
            (f"b{level}", 2 * level, detector.DISTANCES, detector.HALF),
            (f"s{level}", 2 * level + 1, detector.SCORES, detector.OFFSETS[stride]),
        ):
            layers.append(
                nets.weighted(
                    "Convolution",
                    f"conv{number}",
                    blob,
                    f"out{number}",
                    weight[:, :, None, None],
                    bias,
                    {1: 1},
                )
            )
    nets.store(nets.Model((nets.INPUT, *splits, *layers)), folder)
    describe(folder, "ncnn", input_of("in0"), outputs(["out0", "out1", "out2", "out3"]))
    return folder


def make_torchscript(folder: Path) -> Path:
    torch = pytest.importorskip("torch", reason="needs the extra `build`")

    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            maps = []
            for stride in STRIDES:
                mean = torch.nn.functional.avg_pool2d(x, stride)
                for weight, bias in (
                    (detector.DISTANCES, detector.HALF),
                    (detector.SCORES, detector.OFFSETS[stride]),
                ):
                    kernel = torch.from_numpy(weight)[:, :, None, None]
                    maps.append(torch.nn.functional.conv2d(mean, kernel, torch.from_numpy(bias)))
            return tuple(maps)

    make_artifact(folder)
    (folder / "model.onnx").unlink()
    torch.jit.trace(Net().eval(), torch.zeros(1, 3, SPEC.height, SPEC.width)).save(
        str(folder / "model.pt")
    )
    names = ["boxes8", "scores8", "boxes16", "scores16"]
    describe(folder, "torchscript", input_of("image"), outputs(names))
    return folder


def check(artifact: Path, count: int = 3, atol: float = 1e-4) -> None:
    images = detector.images(count)
    predictions = runtimes.predict(runtimes.load(artifact), images)
    assert predictions.shape == (count, CELLS, 7) and predictions.dtype == np.float32
    np.testing.assert_allclose(predictions, expected(normalise(images, SPEC)), atol=atol)


@pytest.mark.parametrize("batch", [1, 2, -1])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_onnx(tmp_path: Path, batch: int, layout: str) -> None:
    check(make_detector(tmp_path / "onnx", batch=batch, layout=layout))


def test_quantized_maps_are_converted_by_the_contract(tmp_path: Path) -> None:
    artifact = make_detector(tmp_path / "onnx", quantized=True)
    images = detector.images(2)
    predictions = runtimes.predict(runtimes.load(artifact), images)
    # Integers reach from -32 to 31.75 in steps of a quarter.
    wanted = np.clip(expected(normalise(images, SPEC)), -32, 31.75)
    np.testing.assert_allclose(predictions, wanted, atol=0.126)


def test_ncnn(tmp_path: Path) -> None:
    check(make_ncnn(tmp_path / "ncnn"))


def test_torchscript(tmp_path: Path) -> None:
    check(make_torchscript(tmp_path / "torchscript"))


def rewritten(artifact: Path, found: list[Output]) -> Path:
    contract = contracts.read(artifact)
    contracts.write(contract.model_copy(update={"outputs": found}), artifact)
    return artifact


def test_the_order_of_outputs_is_the_contracts_affair(tmp_path: Path) -> None:
    artifact = make_detector(tmp_path / "onnx")
    check(rewritten(artifact, contracts.read(artifact).outputs[::-1]))


def test_a_level_without_scores_is_refused(tmp_path: Path) -> None:
    artifact = make_detector(tmp_path / "onnx")
    session = runtimes.load(rewritten(artifact, contracts.read(artifact).outputs[:3]))
    with pytest.raises(ContractError, match="boxes and scores once for each stride"):
        runtimes.predict(session, detector.images(1))


@pytest.mark.parametrize("make", [make_detector, make_torchscript])
def test_maps_of_another_size_are_refused_at_load(tmp_path: Path, make) -> None:
    artifact = make(tmp_path / "artifact")
    found = contracts.read(artifact).outputs
    wrong = found[2].model_copy(update={"shape": [1, 4, 3, 2]})
    with pytest.raises(ContractError, match=r"\[(1, )?4, 2, 3\]"):
        runtimes.load(rewritten(artifact, [*found[:2], wrong, found[3]]))


def test_maps_of_another_size_are_refused_where_the_file_does_not_tell(tmp_path: Path) -> None:
    artifact = make_ncnn(tmp_path / "ncnn")
    found = contracts.read(artifact).outputs
    wrong = found[2].model_copy(update={"shape": [1, 4, 3, 2]})
    session = runtimes.load(rewritten(artifact, [*found[:2], wrong, found[3]]))
    with pytest.raises(ContractError, match=r"output 'out2' is \[4, 2, 3\] per image"):
        runtimes.predict(session, detector.images(1))


@pytest.mark.parametrize("make", [make_detector, make_ncnn])
def test_a_missing_output_is_named(tmp_path: Path, make) -> None:
    artifact = make(tmp_path / "artifact")
    found = contracts.read(artifact).outputs
    wrong = found[3].model_copy(update={"name": "masks"})
    with pytest.raises(ContractError, match="no output is named 'masks'"):
        runtimes.load(rewritten(artifact, [*found[:3], wrong]))
