import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from typer.testing import CliRunner

from edgesmith.cli import app
from edgesmith.errors import ContractError
from edgesmith.findings import is_refused
from edgesmith.trt import lint, operators
from edgesmith.trt.operators import Version
from tests.artifacts import make_artifact
from tests.trt import models


def test_intact_model_has_no_finding() -> None:
    assert lint.lint(models.good()) == []


@pytest.mark.parametrize("name", models.REFUSED)
def test_every_planted_fault_is_found_where_it_is_and_with_a_remedy(name: str) -> None:
    plant, where, words = models.REFUSED[name]
    model = models.good()
    plant(model)
    found = [finding for finding in lint.lint(model) if finding.severity == "refused"]
    assert found and where in found[0].where and words in found[0].fault
    assert all(finding.remedy for finding in found)


def test_double_weights_are_a_caution_for_tensorrt_computes_them_as_float() -> None:
    model = models.good()
    models.double_weights(model)
    (finding,) = lint.lint(model)
    assert finding.severity == "caution" and finding.where == "weight factor"


def test_opset_beyond_the_documented_one_is_a_caution() -> None:
    model = models.good()
    model.opset_import[0].version = 21
    assert [f.severity for f in lint.lint(model, Version(10, 3))] == ["caution"]
    assert "documents up to 17" in lint.lint(model, Version(8, 6))[0].fault


def test_operators_depend_on_the_version() -> None:
    model = models.good()
    models.node(model, "last").op_type = "Mish"
    assert not is_refused(lint.lint(model, Version(10, 3)))
    assert is_refused(lint.lint(model, Version(8, 6)))


def test_large_int64_is_a_caution_where_tensorrt_clamps_it() -> None:
    model = models.good()
    models.put(model, "large", np.array([2**40]))
    assert lint.lint(model, Version(10, 3)) == []
    assert "clamps" in lint.lint(model, Version(8, 6))[-1].fault


def test_indices_of_pooling_are_refused() -> None:
    model = models.good()
    last = models.node(model, "last")
    model.graph.node.remove(last)
    model.graph.node.append(
        helper.make_node("MaxPool", ["c"], ["y", "i"], name="pool", kernel_shape=[2, 2])
    )
    assert "indices" in lint.lint(model)[0].fault


def test_operators_that_are_refused_are_onnx_operators() -> None:
    unknown = [name for name in operators.refused(Version(8, 6)) if not onnx.defs.has(name)]
    assert unknown == []


def test_version_is_parsed_or_explained() -> None:
    assert operators.parse("10.3.0.30") == Version(10, 3)
    with pytest.raises(ValueError, match=r"such as 10\.3"):
        operators.parse("ten")


def _lint(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["lint", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture
def faulty_folder(tmp_path: Path) -> Callable[[], Path]:
    return lambda: make_artifact(tmp_path / "faulty/onnx", quantized=True)


def test_command_ends_with_0_for_what_tensorrt_takes_and_1_for_what_not(
    artifact: Path, faulty_folder: Callable[[], Path]
) -> None:
    status, output = _lint(artifact)
    assert status == 0 and "passes (tensorrt)" in output
    status, output = _lint(faulty_folder())
    assert status == 1 and "would be refused" in output and "uint8" in output


def test_command_gives_json_and_writes_the_spec(artifact: Path, tmp_path: Path) -> None:
    status, output = _lint(artifact, "--json", "--spec", tmp_path / "build.json")
    assert status == 0 and json.loads(output)["findings"] == []
    assert json.loads((tmp_path / "build.json").read_text())["onnx_file"] == "model.onnx"


def test_no_spec_is_written_of_what_would_be_refused(
    faulty_folder: Callable[[], Path], tmp_path: Path
) -> None:
    assert _lint(faulty_folder(), "--spec", tmp_path / "build.json")[0] == 1
    assert not (tmp_path / "build.json").exists()


def test_other_formats_are_refused_with_what_there_is(tmp_path: Path) -> None:
    folder = make_artifact(tmp_path / "tiny/ncnn", format_name="ncnn")
    assert "no linter for ncnn" in _lint(folder)[1]
    with pytest.raises(ContractError, match="onnx-trt"):
        lint.lint_artifact(folder)
