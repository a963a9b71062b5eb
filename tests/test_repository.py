"""What holds for the repository as a whole."""

import re
import shutil
from pathlib import Path

import pytest

from edgesmith import overlay
from edgesmith.params import load_params
from tests.imports import ROOT, closure, find, imports_of, sources

# What a device has: nothing that these import may lead to the build side.
DEVICE_SIDE = (
    *("contract", "preprocess", "decode", "cli", "cli_ncnn", "runtimes", "bench", "device"),
    *("ncnn_int8", "remote", "cli_remote", "deliver", "cli_pull", "serve", "cli_serve"),
    *("cli_service", "events", "cli_events", "cli_sync"),
)
BUILD_SIDE = ("edgesmith/tasks", "edgesmith/compress", "edgesmith/formats")
HEAVY = {"torch", "torchvision", "timm", "torchao", "onnx", "onnxslim", "dvc"}


def _device_modules() -> list[str]:
    return [
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in sources()
        if path.split("/")[1].removesuffix(".py") in DEVICE_SIDE
    ]


def _file(module: str) -> str:
    path = find(module)
    assert path is not None
    return path


# PyTorch's own runtime is of the build side; `runtimes.session` imports it by name when asked.
BUILD_RUNTIME = "edgesmith.runtimes.torch"
# What commands of the build host import when they are called there, after they looked for torch.
BUILD_COMMANDS = frozenset(
    {"edgesmith.seed.measure", "edgesmith.profile_torch.target", "edgesmith.publish.publish"}
)


def test_one_runtime_alone_imports_torch_and_nothing_else_of_the_build_side() -> None:
    assert [m for m in _device_modules() if "torch" in imports_of(_file(m))] == [BUILD_RUNTIME]
    read = closure(BUILD_RUNTIME)
    assert not [path for path in read.ours if path.startswith(BUILD_SIDE)]
    assert read.foreign & HEAVY == {"torch"}


@pytest.mark.parametrize("module", [m for m in _device_modules() if m != BUILD_RUNTIME])
def test_device_side_leads_to_nothing_of_the_build_side(module: str) -> None:
    read = closure(module, without=BUILD_COMMANDS)
    assert not [path for path in read.ours if path.startswith(BUILD_SIDE)]
    assert not HEAVY & read.foreign


def test_lock_names_no_host_and_hashes_everything() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    requirements = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert not [line for line in requirements if line.startswith("-")]  # no options, no index
    assert not [line for line in lines if re.search(r"https?://| @ ", line)]
    unpinned = [line for line in requirements if not re.match(r"[\w.\[\]-]+==[^\s;]+", line)]
    assert not unpinned
    for number, line in enumerate(lines):
        if line in requirements:
            assert line.endswith("\\") and "--hash=sha256:" in lines[number + 1], line


@pytest.mark.parametrize("path", sources())
def test_source_file_is_short_enough_to_read(path: str) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= 400


# Overlays that go on top of another one.
UNDER = {"sizes.yaml": "bccd.yaml"}


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "params").glob("*.yaml")))
def test_overlay_gives_valid_parameters(name: str, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", params)
    if name in UNDER:
        overlay.apply(ROOT / "params" / UNDER[name], params)
    before = load_params(params)
    overlay.apply(ROOT / "params" / name, params)
    assert load_params(params) != before
