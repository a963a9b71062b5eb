"""toolchains/*/dvc.yaml, as DVC runs them on a machine that has none of the vendors' tools."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.hef import files as hefs
from tests.imports import ROOT
from tests.stages.test_devices import Clone

# By toolchain: what it makes of a variant, and what its probe says where it has no tool.
TOOLCHAINS = {
    "hailo": ("hef", "the Dataflow Compiler (x86-64 Linux) comes from Hailo's developer zone"),
    "tensorrt": ("engine", "comes with JetPack"),
    "edgetpu": ("edgetpu", "edgetpu_compiler is not on the PATH"),
}
VARIANT = "mobilenetv2-baseline"


def _clone(path: Path) -> Clone:
    """The working tree without what was built, and what another machine compiled in it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    wanted = ("edgesmith/", "stages/", "pipelines/", "devices/", "toolchains/", "models/", ".")
    for name in listed.rstrip("\0").split("\0"):
        top = "/" not in name
        if (top or name.startswith(wanted)) and (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
    clone = Clone(path)
    clone.ok("git", "init", "--quiet")
    for tool, (made, _) in TOOLCHAINS.items():
        folder = path / f"artifacts/{VARIANT}/{made}"
        folder.mkdir(parents=True)
        (folder / "contract.json").write_text('{"of": "another machine"}\n')
        (path / f"toolchains/{tool}/tool.json").write_text('{"of": "another machine"}\n')
    hefs.write(path / f"artifacts/{VARIANT}/hef/model.hef")
    return clone


def _state(clone: Clone) -> dict[str, tuple[bytes, int]]:
    """Content and time of change of all that vendors' tools made."""
    patterns = ("artifacts/*/*/*", "toolchains/*/tool.json", "metrics/edgetpu/*")
    found = [path for pattern in patterns for path in clone.path.glob(pattern)]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


@pytest.mark.slow
def test_toolchain_fails_at_its_probe_and_leaves_what_another_machine_made(tmp_path: Path) -> None:
    clone = _clone(tmp_path / "clone")
    before = _state(clone)
    assert any(name.endswith("model.hef") for name in before)
    for tool, (_, remedy) in TOOLCHAINS.items():
        done = clone.run(sys.executable, "-m", "dvc", "repro", f"toolchains/{tool}/dvc.yaml")
        assert done.returncode != 0
        assert f"failed to reproduce 'toolchains/{tool}/dvc.yaml:probe'" in done.stderr, done.stderr
        assert remedy in done.stderr, done.stderr
        assert f"toolchains/{tool}/dvc.yaml:compile" not in done.stdout
        assert _state(clone) == before
