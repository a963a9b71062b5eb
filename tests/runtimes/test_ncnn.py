from __future__ import annotations

import sys
from pathlib import Path

import ncnn
import numpy as np
import pytest

from edgesmith import contract as contracts
from edgesmith.contract import Input, Output
from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.preprocess import normalise
from edgesmith.runtimes import session as runtimes
from tests.artifacts import SPEC, WEIGHT, expected_logits, make_artifact
from tests.ncnn_int8 import nets
from tests.ncnn_int8.nets import Model


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """The network of `tests.artifacts`, as NCNN."""
    return make_ncnn_artifact(tmp_path / "ncnn")


def make_ncnn_artifact(folder: Path, precision: str = "fp32", output: str = "out0") -> Path:
    make_artifact(folder, format_name="ncnn")
    (folder / "model.onnx").unlink()
    pool = nets.plain("Pooling", "pool", "in0", "a", p0=1, p4=1)
    linear = nets.weighted("InnerProduct", "linear", "a", "out0", WEIGHT.T)
    nets.store(Model((nets.INPUT, pool, linear)), folder)
    shape = [1, 3, SPEC.height, SPEC.width]
    contract = contracts.read(folder).model_copy(
        update={
            "precision": precision,
            "files": contracts.describe_files(folder),
            "input": Input(
                name="in0", layout="NCHW", dtype="float32", shape=shape, preprocess=SPEC
            ),
            "outputs": [
                Output(
                    name=output, meaning="logits", dtype="float32", shape=[1, 3], decode="softmax"
                )
            ],
        }
    )
    contracts.write(contract, folder)
    return folder


def images(count: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, SPEC.height, SPEC.width, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 5])
def test_any_number_of_images_runs(artifact: Path, count: int) -> None:
    logits = runtimes.predict(runtimes.load(artifact), images(count))
    assert logits.shape == (count, 3) and logits.dtype == np.float32
    expected = expected_logits(normalise(images(count), SPEC))
    np.testing.assert_allclose(logits, expected, atol=1e-6)


def test_images_in_another_memory_order_are_read_right(artifact: Path) -> None:
    batch = normalise(images(2), SPEC)
    channels_last = np.ascontiguousarray(batch.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    logits = runtimes.load(artifact).run(channels_last)
    np.testing.assert_allclose(logits, expected_logits(batch), atol=1e-6)


def test_outputs_of_one_run_outlive_the_next(artifact: Path) -> None:
    batch = normalise(images(2), SPEC)
    session = runtimes.load(artifact)
    (first,) = session.call(batch[:1])
    kept = first.copy()
    for _ in range(20):
        session.call(batch[1:])
    del session
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(first, expected_logits(batch[1:]))


def test_session_says_what_it_runs_on(artifact: Path) -> None:
    session = runtimes.load(artifact, threads=2)
    assert session.providers == ("cpu",)
    assert session.threads == 2
    assert session.engine == f"ncnn {ncnn.__version__}"


def test_halves_are_for_half_precision_artifacts_alone(tmp_path: Path) -> None:
    def options(precision: str) -> tuple[bool, ...]:
        loaded = runtimes.load(make_ncnn_artifact(tmp_path / precision, precision))
        opt = loaded._net.opt
        return opt.use_fp16_packed, opt.use_fp16_storage, opt.use_fp16_arithmetic

    assert options("fp32") == options("int8") == (False, False, False)
    # Stored in halves, added up in floats: only ARM could do otherwise.
    assert options("fp16") == (True, True, False)


def test_another_provider_is_refused(artifact: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match="'cuda' is not available in ncnn"):
        runtimes.load(artifact, 1, ["cuda", "cpu"])


@pytest.mark.parametrize("name", ["model.param", "model.bin"])
def test_files_that_ncnn_cannot_load_are_an_error_and_no_crash(artifact: Path, name: str) -> None:
    path = artifact / name
    path.write_bytes(path.read_bytes()[:20])
    contract = contracts.read(artifact)
    files = contracts.describe_files(artifact)
    contracts.write(contract.model_copy(update={"files": files}), artifact)
    with pytest.raises(RuntimeUnavailableError, match=f"{name}: ncnn .* cannot load it"):
        runtimes.load(artifact)


def test_a_network_unlike_its_contract_is_refused(tmp_path: Path) -> None:
    artifact = make_ncnn_artifact(tmp_path / "ncnn", output="boxes")
    with pytest.raises(ContractError, match=r"no output is named 'boxes' .* it has out0"):
        runtimes.load(artifact)


def test_missing_engine_says_what_to_install(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "edgesmith.runtimes.ncnn", raising=False)
    monkeypatch.delattr("edgesmith.runtimes.ncnn", raising=False)
    monkeypatch.setitem(sys.modules, "ncnn", None)
    with pytest.raises(RuntimeUnavailableError, match=r"pip install edgesmith\[device-ncnn\]"):
        runtimes.load(artifact)
