"""toolchains/*/dvc.yaml, as DVC runs them on a machine that has none of the vendors' tools.

No vendor's compiler made model.hef and model.engine here: they stand for another machine's.
"""

import shutil
import sys
from pathlib import Path

import pytest
import yaml

from edgesmith import tools
from edgesmith.formats.hailo import contents
from tests.hef import files as hefs
from tests.imports import ROOT
from tests.runtimes.test_litert import make_artifact
from tests.stages.test_devices import Clone

pytestmark = pytest.mark.slow
# By toolchain: what it makes of a variant, and what its probe says where it has no tool.
TOOLCHAINS = {
    "hailo": ("hef", "the Dataflow Compiler (x86-64 Linux) comes from Hailo's developer zone"),
    "tensorrt": ("engine", "comes with JetPack"),
    "edgetpu": ("edgetpu", "edgetpu_compiler is not on the PATH"),
}
CELL = {"task": "classify", "dataset": "tints"}


@pytest.fixture
def clone(trained: Path, tmp_path: Path) -> Clone:
    """The toolchains beside the code, one trained variant, and what another machine made of it."""
    path = tmp_path / "clone"
    shutil.copytree(trained, path)
    for folder in ("edgesmith", "stages", "toolchains"):
        ignored = shutil.ignore_patterns("__pycache__", "dvc.lock", "tool.json")
        shutil.copytree(ROOT / folder, path / folder, ignore=ignored)
    shutil.copy(ROOT / ".dvcignore", path)
    (path / ".gitignore").write_text("/artifacts/*\n/models/*\n/data/*\n/tmp/\n__pycache__/\n")
    (path / "toolchains/edgetpu/params.yaml").write_text(
        yaml.safe_dump({"edgetpu": {"base": CELL}})
    )
    # Of the preparation, which runs before the probe fails or never, as DVC orders them.
    make_artifact(path / "artifacts/base/tflite", quantized=True)
    values = yaml.safe_load((path / "toolchains/hailo/params.yaml").read_text())
    values["hailo"] = {"base": CELL}
    values["prepare"] |= {"calibration_images": 16, "accept_fewer_images": True}
    (path / "toolchains/hailo/params.yaml").write_text(yaml.safe_dump(values))
    tools.write(path / tools.PATH)
    for made, _ in TOOLCHAINS.values():
        (path / f"artifacts/base/{made}").mkdir(parents=True)
        (path / f"artifacts/base/{made}/contract.json").write_text('{"of": "another machine"}\n')
    hefs.write(path / "artifacts/base/hef/model.hef")
    (path / "artifacts/base/engine/model.engine").write_bytes(b"of another machine")
    found = Clone(path)
    found.ok("git", "init", "--quiet")
    found.dvc("init", "--quiet")
    found.dvc("config", "core.analytics", "false")
    return found


def _compiled(clone: Clone) -> dict[str, tuple[bytes, int]]:
    """Content and time of change of all that vendors' tools made."""
    folders = [clone.path / f"artifacts/base/{made}" for made, _ in TOOLCHAINS.values()]
    found = [path for folder in folders for path in folder.iterdir()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def test_toolchains_fail_at_their_probe_and_leave_what_another_machine_made(clone: Clone) -> None:
    before = _compiled(clone)
    for tool, (_, remedy) in TOOLCHAINS.items():
        done = clone.run(sys.executable, "-m", "dvc", "repro", f"toolchains/{tool}/dvc.yaml")
        assert done.returncode != 0
        assert f"failed to reproduce 'toolchains/{tool}/dvc.yaml:probe'" in done.stderr, done.stderr
        assert remedy in done.stderr, done.stderr
        assert _compiled(clone) == before
        assert not (clone.path / f"toolchains/{tool}/tool.json").exists()
    # What needs no compiler is made all the same.
    clone.dvc("repro", "toolchains/hailo/dvc.yaml:prepare@base")
    bundle = contents.read(clone.path / "artifacts/base/hailo-bundle")
    assert bundle.proof.max_score_diff < 1e-5 and bundle.calibration_images == 16
    assert _compiled(clone) == before
