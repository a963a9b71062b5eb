from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith import contract as contracts
from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.preprocess import normalise
from edgesmith.runtimes import session as runtimes
from edgesmith.runtimes.torch import integer_engine, integer_engines
from tests.artifacts import SPEC, WEIGHT, expected_logits, make_artifact


@pytest.fixture(autouse=True)
def _process() -> Iterator[None]:
    """Threads and engine are the process's."""
    engine, threads = torch.backends.quantized.engine, torch.get_num_threads()
    yield
    torch.backends.quantized.engine = engine
    torch.set_num_threads(threads)


class _Net(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3, classes, bias=False)
        self.linear.weight = nn.Parameter(torch.from_numpy(WEIGHT.T[:classes].copy()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.mean([2, 3]))


def make_torchscript(folder: Path, precision: str = "fp32", classes: int = 3) -> Path:
    """The network of `tests.artifacts`, as TorchScript for any batch."""
    make_artifact(folder, format_name="torchscript")
    (folder / "model.onnx").unlink()
    example = torch.zeros(1, 3, SPEC.height, SPEC.width)
    torch.jit.trace(_Net(classes).eval(), example).save(str(folder / "model.pt"))
    contract = contracts.read(folder)
    shape = [-1, *contract.input.shape[1:]]
    update = {
        "precision": precision,
        "files": contracts.describe_files(folder),
        "input": contract.input.model_copy(update={"shape": shape}),
    }
    contracts.write(contract.model_copy(update=update), folder)
    return folder


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return make_torchscript(tmp_path / "torchscript")


@pytest.mark.parametrize("count", [1, 5])
def test_any_number_of_images_runs(artifact: Path, count: int) -> None:
    images = np.random.default_rng(0).integers(
        0, 256, (count, SPEC.height, SPEC.width, 3), dtype=np.uint8
    )
    session = runtimes.load(artifact)
    expected = expected_logits(normalise(images, SPEC))
    np.testing.assert_allclose(runtimes.predict(session, images), expected, atol=1e-5)


def test_session_says_what_it_runs_on(artifact: Path, tmp_path: Path) -> None:
    session = runtimes.load(artifact, threads=1)
    assert (session.providers, session.threads) == (("cpu",), 1)
    assert session.engine == f"torch {torch.__version__}" and torch.get_num_threads() == 1
    integers = runtimes.load(make_torchscript(tmp_path / "int8", "int8"))
    assert integers.engine == f"torch {torch.__version__} {integer_engine('cpu')}"


def test_engine_of_integer_kernels_is_a_provider(tmp_path: Path) -> None:
    artifact = make_torchscript(tmp_path / "int8", "int8")
    assert integer_engines()
    for engine in integer_engines():
        session = runtimes.load(artifact, 1, [engine])
        assert torch.backends.quantized.engine == engine
        assert session.engine.endswith(engine) and session.providers == (engine,)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_another_provider_is_refused(tmp_path: Path, precision: str) -> None:
    artifact = make_torchscript(tmp_path / precision, precision)
    with pytest.raises(RuntimeUnavailableError, match="'abacus' is not available in torch"):
        runtimes.load(artifact, 1, ["abacus"])


def test_file_that_torch_cannot_load_is_named(artifact: Path) -> None:
    path = artifact / "model.pt"
    path.write_bytes(path.read_bytes()[:100])
    files = contracts.describe_files(artifact)
    contracts.write(contracts.read(artifact).model_copy(update={"files": files}), artifact)
    with pytest.raises(RuntimeUnavailableError, match=r"model\.pt: torch .* cannot load it"):
        runtimes.load(artifact)


def test_a_network_unlike_its_contract_is_refused(tmp_path: Path) -> None:
    artifact = make_torchscript(tmp_path / "narrow", classes=2)
    with pytest.raises(ContractError, match=r"gives \[2\] logits .* says \[3\]"):
        runtimes.load(artifact)
