"""What tests of several packages share."""

import shutil
from pathlib import Path

import pytest

from tests.artifacts import make_artifact
from tests.once import once


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """An intact artifact of a tiny network, fixed batch 1."""
    return make_artifact(tmp_path / "artifacts/tiny/onnx")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkout with the trained variant `base`, for all tests; to be read only."""
    from tests import tiny  # noqa: PLC0415 (torch, 3 s: not for tests of the device side)

    def make(folder: Path) -> None:
        tiny.write_data(folder)
        tiny.write_params(folder)
        tiny.run("init", "net")
        tiny.run("train", "base")

    return once(tmp_path_factory, "trained", make)


@pytest.fixture
def checkout(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `trained` as the current folder, to be changed."""
    folder = tmp_path / "checkout"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def chain(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`trained` with variants of every other step, for all tests; to be read only.

    `half`, `ptq` and `qat` are of `base`; `small` is pruned and trained, `small-half`
    rounded after it.
    """
    from tests import tiny  # noqa: PLC0415 (as above)

    def make(folder: Path) -> None:
        shutil.copytree(trained, folder, dirs_exist_ok=True)
        tiny.write_params(folder, variants=tiny.CHAIN)
        for name, variant in tiny.CHAIN.items():
            if name != "base":
                tiny.run(variant["step"], name)

    return once(tmp_path_factory, "chain", make)
