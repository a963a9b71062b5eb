from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from edgesmith import contract as contracts
from edgesmith.data.classify.store import Split, load_split
from edgesmith.errors import ExportError, ParityError
from edgesmith.formats.onnx import FILE, _through_torch, trace, write
from edgesmith.params import Export
from edgesmith.report.accuracy import sqnr_db
from edgesmith.runtimes import onnxruntime as engine
from edgesmith.runtimes import session
from edgesmith.tasks.store import load_reference
from tests import tiny
from tests.formats.conftest import Quantized

CELLS = [(name, target) for name in ("base", "half", "ptq") for target in ("onnx", "onnx-trt")]
PRECISIONS = {"base": "fp32", "half": "fp16", "ptq": "int8"}
SETTINGS = Export(opset=21, batch="1", parity_images=8)


@pytest.fixture(scope="module")
def test_split(exported: Path) -> Split:
    return load_split(exported / "data/tints", "test", tiny.SPEC)


def model_of(folder: Path) -> onnx.ModelProto:
    return onnx.load(folder / FILE)


@pytest.mark.parametrize(("name", "target"), CELLS)
def test_an_artifact_runs_as_its_variant_does(
    exported: Path, test_split: Split, name: str, target: str
) -> None:
    opened = session.load(exported / "artifacts" / name / target)
    logits = session.predict(opened, test_split.images)
    reference = load_reference(exported / "models" / name)["self"]

    assert sqnr_db(logits, reference) > {"base": 80, "half": 35, "ptq": 15}[name]
    assert opened.contract.precision == PRECISIONS[name]
    assert opened.contract.labels == tiny.LABELS


@pytest.mark.parametrize(("name", "target"), CELLS)
def test_a_contract_proves_the_parity_that_was_measured(
    exported: Path, name: str, target: str
) -> None:
    contract = contracts.verify(exported / "artifacts" / name / target)

    assert (contract.format, contract.variant) == (target, name)
    assert contract.target == ("any" if target == "onnx" else "tensorrt")
    assert contract.parity.images == 32
    assert contract.parity.against == f"models/{name}"
    assert contract.input.shape == [1, 3, tiny.SIZE, tiny.SIZE]
    assert contract.input.preprocess == tiny.SPEC
    assert list(contract.files) == [FILE]


@pytest.mark.parametrize(("name", "target"), CELLS)
def test_an_artifact_is_valid_onnx(exported: Path, name: str, target: str) -> None:
    model = model_of(exported / "artifacts" / name / target)
    onnx.checker.check_model(model, full_check=True)

    assert [opset.version for opset in model.opset_import if not opset.domain] == [21]
    assert [value.name for value in model.graph.input] == ["input"]
    assert [value.name for value in model.graph.output] == ["logits"]
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT


def test_normalisation_is_folded_and_pooling_is_one_operator(exported: Path) -> None:
    kinds = Counter(node.op_type for node in model_of(exported / "artifacts/base/onnx").graph.node)

    assert kinds["GlobalAveragePool"] == 1
    assert not {"BatchNormalization", "ReduceMean", "Identity", "Dropout"} & kinds.keys()


def test_half_precision_is_inside_and_half_the_size(exported: Path) -> None:
    model = model_of(exported / "artifacts/half/onnx")
    weights = [numpy_helper.to_array(t) for t in model.graph.initializer]
    size = {
        name: (exported / "artifacts" / name / "onnx" / FILE).stat().st_size
        for name in ("base", "half", "ptq")
    }

    assert all(weight.dtype == np.float16 for weight in weights if weight.size > 8)
    assert size["half"] < 0.6 * size["base"]
    assert size["ptq"] < 0.5 * size["base"]


@pytest.mark.parametrize(("name", "target"), CELLS)
def test_an_artifact_does_not_know_where_it_was_made(
    exported: Path, name: str, target: str
) -> None:
    content = (exported / "artifacts" / name / target / FILE).read_bytes()
    model = onnx.load_from_string(content)

    for text in (str(Path.home()), str(exported), "site-packages", "stack_trace", "forward("):
        assert text.encode() not in content
    parts = [model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input]
    assert not any(part.metadata_props or part.doc_string for part in parts)
    assert {p.key: p.value for p in model.metadata_props} == {
        "variant": name,
        "precision": PRECISIONS[name],
    }


def test_exporting_again_gives_the_same_bytes(quantized: Quantized, tmp_path: Path) -> None:
    case = quantized("resnet18")
    traced = trace(case.variant, SETTINGS, dynamic=False)
    for target, folder in case.folders.items():
        (tmp_path / target).mkdir()
        write(traced, tmp_path / target, target)
        assert (tmp_path / target / FILE).read_bytes() == (folder / FILE).read_bytes()


def test_a_free_batch_takes_one_image_and_many(quantized: Quantized, tmp_path: Path) -> None:
    case = quantized("resnet18")
    fixed = engine.load(
        case.folders["onnxruntime"], case.written["onnxruntime"].description, 1, ["cpu"]
    )
    written = write(trace(case.variant, SETTINGS, dynamic=True), tmp_path, "onnxruntime")
    free = engine.load(tmp_path, written.description, 1, ["cpu"])
    expected = session.predict(fixed, tiny.noise(5))

    assert written.description.input.shape == [-1, 3, tiny.SIZE, tiny.SIZE]
    assert written.description.outputs[0].shape == [-1, 4]
    for count in (1, 5):
        logits = session.predict(free, tiny.noise(5)[:count])
        np.testing.assert_allclose(logits, expected[:count], atol=1e-4)


def test_an_artifact_outside_its_tolerance_is_not_written(exported: Path, checkout: Path) -> None:
    older = Path("artifacts/ptq/onnx-trt")
    shutil.copytree(exported / "models/ptq", "models/ptq")
    shutil.copytree(exported / older, older)
    unreachable = {"max_abs_diff": 9, "min_sqnr_db": 190, "min_agreement": 0, "max_metric_drop": 1}
    tiny.write_params(
        checkout,
        variants=tiny.CHAIN,
        tolerances={"classify": {**tiny.TOLERANCES, "int8": unreachable}},
    )

    with pytest.raises(ParityError) as caught:
        tiny.run("export_onnx", "ptq")
    message = str(caught.value)
    levels = [float(line.split()[0]) for line in message.splitlines() if " dB  " in line]

    assert message.startswith("artifacts/ptq/onnx differs from models/ptq on 32 images: sqnr_db is")
    assert "below 190" in message
    assert "features." in message
    assert len(levels) == 10 and levels == sorted(levels)
    assert list(Path("artifacts/ptq").iterdir()) == [older]
    contracts.verify(older)


def test_what_onnx_cannot_express_is_an_export_error() -> None:
    class Bessel(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(x)

    with pytest.raises(ExportError, match="torch's exporter cannot express this network"):
        _through_torch(Bessel().eval(), 8, 8, 21, False)
