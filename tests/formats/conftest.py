from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from edgesmith.contract import Description
from edgesmith.formats import tflite
from edgesmith.formats.onnx import Traced, Written, trace, write
from edgesmith.params import Export
from tests import tiny
from tests.once import once


@dataclass
class Case:
    """A quantized network, stored and traced once, written for both targets."""

    variant: Path
    traced: Traced
    written: dict[str, Written]
    folders: dict[str, Path]


Quantized = Callable[[str], Case]


@pytest.fixture(scope="session")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    """By architecture; made on first use, to be read only."""

    @cache
    def make(architecture: str) -> Case:
        folder = tmp_path_factory.mktemp(architecture)
        variant = folder / "models/int"
        tiny.store_quantized(variant, architecture)
        settings = Export(opset=21, batch="1", parity_images=8)
        traced = trace(variant, settings, dynamic=False)
        folders = {target: folder / target for target in ("onnxruntime", "tensorrt")}
        for path in folders.values():
            path.mkdir()
        written = {target: write(traced, path, target) for target, path in folders.items()}
        return Case(variant, traced, written, folders)

    return make


@pytest.fixture(scope="session")
def exported(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`chain` with `base`, `half` and `ptq` as ONNX, by the stage; to be read only."""

    def make(folder: Path) -> None:
        shutil.copytree(chain, folder, dirs_exist_ok=True)
        for name in ("base", "half", "ptq"):
            tiny.run("export_onnx", name)

    return once(tmp_path_factory, "exported", make)


@dataclass
class Converted:
    """A quantized network, stored, converted once and written as INT8."""

    variant: Path
    converted: tflite.Converted
    description: Description
    folder: Path


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Converted]:
    """By architecture; made on first use, to be read only."""

    @cache
    def make(architecture: str) -> Converted:
        root = tmp_path_factory.mktemp(architecture)
        variant, folder = root / "models/int", root / "tflite"
        folder.mkdir()
        tiny.store_quantized(variant, architecture)
        found = tflite.convert(variant)
        return Converted(variant, found, tflite.write(found, folder, tiny.noise(8)), folder)

    return make


@pytest.fixture(scope="session")
def exported_tflite(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`chain` with `base`, `half` and `ptq` as TFLite, by the stage; to be read only."""

    def make(folder: Path) -> None:
        shutil.copytree(chain, folder, dirs_exist_ok=True)
        for name in ("base", "half", "ptq"):
            tiny.run("export_tflite", name)

    return once(tmp_path_factory, "exported_tflite", make)


@pytest.fixture(scope="session")
def exported_ncnn(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`chain` with `base`, `half` and `ptq` as NCNN, by the stage; to be read only."""

    def make(folder: Path) -> None:
        shutil.copytree(chain, folder, dirs_exist_ok=True)
        before = set(folder.iterdir())
        for name in ("base", "half", "ptq"):
            tiny.run("export_ncnn", name)
        # pnnx writes nine files beside the two that are wanted.
        assert set(folder.iterdir()) - before == {folder / "artifacts", folder / "metrics"}

    return once(tmp_path_factory, "exported_ncnn", make)
