from pathlib import Path

import pytest

from edgesmith import contract as contracts
from edgesmith.errors import ContractError
from edgesmith.trt import spec
from tests.artifacts import make_artifact


def test_spec_says_what_the_contract_does(artifact: Path) -> None:
    made = spec.of_artifact(artifact, workspace_mb=256)
    contract = contracts.read(artifact)
    assert made.onnx_sha256 == contract.files["model.onnx"].sha256
    assert made.inputs[0].shape == contract.input.shape
    assert [tensor.name for tensor in made.outputs] == ["logits"]
    assert made.min_tensorrt == "10.3" and made.workspace_mb == 256


def test_spec_survives_being_written_and_a_damaged_one_is_explained(
    artifact: Path, tmp_path: Path
) -> None:
    path = tmp_path / "build.json"
    spec.write(spec.of_artifact(artifact), path)
    assert spec.read(path) == spec.of_artifact(artifact)
    path.write_text(path.read_text().replace('"onnx_sha256"', '"other"'))
    with pytest.raises(ContractError, match="write it again"):
        spec.read(path)


def test_float_network_asks_for_no_dla_which_has_no_float(artifact: Path) -> None:
    assert not spec.of_artifact(artifact, dla=True).dla


def test_free_batch_is_refused(tmp_path: Path) -> None:
    folder = make_artifact(tmp_path / "tiny/onnx", batch=-1)
    with pytest.raises(ContractError, match="one shape"):
        spec.of_artifact(folder)
