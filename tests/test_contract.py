import json
from pathlib import Path

import pytest

from edgesmith import contract as contracts
from edgesmith.errors import ContractError


def _change(artifact: Path, **changes: object) -> None:
    path = artifact / contracts.FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_intact_artifact_is_accepted(artifact: Path) -> None:
    assert contracts.verify(artifact).variant == "tiny"


def test_one_changed_byte_is_refused_with_the_file_named(artifact: Path) -> None:
    model = artifact / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(ContractError, match=r"model\.onnx.*damaged"):
        contracts.verify(artifact)


def test_missing_file_is_refused(artifact: Path) -> None:
    (artifact / "model.onnx").unlink()
    with pytest.raises(ContractError, match=r"model\.onnx: missing"):
        contracts.verify(artifact)


def test_extra_file_is_refused(artifact: Path) -> None:
    (artifact / "notes.txt").write_text("hello")
    with pytest.raises(ContractError, match=r"notes\.txt: not part of the contract"):
        contracts.verify(artifact)


def test_other_version_is_refused(artifact: Path) -> None:
    _change(artifact, version=2)
    with pytest.raises(ContractError, match=r"version.*another version"):
        contracts.verify(artifact)


def test_file_name_with_a_path_is_refused(artifact: Path) -> None:
    outside = artifact.parent / "outside"
    outside.write_bytes(b"x")
    _change(artifact, files={"../outside": {"sha256": "0" * 64, "size_bytes": 1}})
    (artifact / "model.onnx").unlink()
    with pytest.raises(ContractError, match="must not hold a path"):
        contracts.verify(artifact)


def test_contract_that_is_not_json_is_refused(artifact: Path) -> None:
    (artifact / contracts.FILE).write_text("{")
    with pytest.raises(ContractError, match=r"contract\.json"):
        contracts.verify(artifact)


def test_folder_without_contract_says_what_an_artifact_is(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="an artifact is a folder"):
        contracts.verify(tmp_path)


def test_contract_survives_writing_and_reading(artifact: Path) -> None:
    contract = contracts.read(artifact)
    contracts.write(contract, artifact)
    assert contracts.read(artifact) == contract


def test_model_file_must_be_the_only_one_of_its_kind(artifact: Path) -> None:
    contract = contracts.read(artifact)
    assert contract.model_file(artifact, ".onnx") == artifact / "model.onnx"
    with pytest.raises(ContractError, match=r"expected one \.tflite"):
        contract.model_file(artifact, ".tflite")
