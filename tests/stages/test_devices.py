"""devices/<name>/dvc.yaml, as DVC runs it on a machine that is not the device, and on two that are.

The second machine is the first with another runtime installed, which is another fingerprint.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from benchmarks.ssh.loopback import loopback, why_not
from edgesmith.device.catalogue import reader
from edgesmith.device.fingerprint import Device, fingerprint_id, write
from edgesmith.remote.connection import CONFIG
from edgesmith.runtimes.session import ACCELERATORS
from tests.artifacts import make_artifact
from tests.checkout import PARAMS
from tests.imports import ROOT

NAMES = [name for name in reader.names() if name != "host"]
CELL = {"variant": "base", "format": "onnx", "baseline": "base", "runtime": "onnxruntime"}
PI = {"board": "Raspberry Pi 5 Model B Rev 1.0", "cpu": "Raspberry Pi 5 0xd0b"}


def _stages_of(name: str, named: str) -> dict[str, Any]:
    """Of devices/<name>/dvc.yaml, under the name of another device."""
    text = (ROOT / f"devices/{name}/dvc.yaml").read_text().replace(name, named)
    found: dict[str, Any] = yaml.safe_load(text)
    assert found.pop("vars") == ["cells.yaml"] and found.keys() == {"stages"}
    return found["stages"]


@pytest.mark.parametrize("name", NAMES)
def test_pipelines_of_devices_differ_in_their_names_and_accelerators_alone(name: str) -> None:
    found, model = _stages_of(name, "rpi5"), _stages_of("rpi5", "rpi5")
    formats = {taken.format for taken in reader.read(name).formats}
    accelerated = found.pop("accelerated", None)
    assert found == model
    assert (accelerated is not None) == bool(formats & ACCELERATORS.keys())
    if accelerated is not None:
        plain = found["benchmark"]["do"]
        own = set(accelerated["do"].pop("deps")) - set(plain["deps"])
        assert own and all(path.endswith(".py") for path in own)
        assert accelerated["do"].pop("cmd") == plain["cmd"] + " ${item.baseline}"
        assert accelerated["do"].items() <= plain.items()


@pytest.mark.slow
def test_engines_are_probed_for_built_and_then_measured(tmp_path: Path) -> None:
    clone = _project(tmp_path / "board", "jetson-orin-nano")
    shutil.copytree(ROOT / "toolchains/tensorrt", clone.path / "toolchains/tensorrt")
    make_artifact(clone.path / "artifacts/base/onnx-trt", variant="base", format_name="onnx-trt")
    make_artifact(clone.path / "artifacts/base/engine", variant="base")  # of another machine
    cell = CELL | {"format": "engine", "runtime": "tensorrt"}
    cells = {"cells": {}, "accelerated": {"base.engine": cell}}
    device = "devices/jetson-orin-nano"
    (clone.path / device / "cells.yaml").write_text(yaml.safe_dump(cells))
    (clone.path / "toolchains/tensorrt/tool.json").write_text('{"machine": {"gpu": "Orin"}}')
    known = Device(name="jetson-orin-nano", fingerprint=PI, fingerprint_id=fingerprint_id(PI))
    write(known, clone.path / device / "device.json")
    stages = [f"{device}/dvc.yaml:accelerated@base.engine", f"{device}/dvc.yaml:probe"]
    stages += [f"toolchains/tensorrt/dvc.yaml:{name}" for name in ("build@base", "probe")]
    ours, theirs = f"{device}/dvc.yaml", "toolchains/tensorrt/dvc.yaml"
    # From a host that has everything, and on the board, where nothing else is made.
    alone = ("--single-item", f"{theirs}:probe", f"{theirs}:build@base", ours)
    for command in ((ours,), alone):
        planned = re.findall(r"Running stage '(\S+)'", clone.dvc("repro", "--dry", *command))
        assert sorted(planned) == sorted(stages)
        assert planned.index(stages[3]) < planned.index(stages[2]) < planned.index(stages[0])
        assert planned.index(stages[1]) < planned.index(stages[0])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_listed_for_a_device_that_was_never_probed(name: str) -> None:
    # So that the graph of the root does not grow by what cannot run.
    found = yaml.safe_load((ROOT / f"devices/{name}/cells.yaml").read_text())
    cells = {**found["cells"], **found.get("accelerated", {})}
    assert not cells or (ROOT / f"devices/{name}/device.json").is_file()


class Clone:
    """A clone of a tiny project with the real stages, and what runs in it."""

    def __init__(self, path: Path, site: Path | None = None) -> None:
        self.path = path
        self._env = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(map(str, [path, *([site] if site else [])])),
            "DVC_SITE_CACHE_DIR": str(path / "tmp/dvc"),
            **{f"GIT_{who}_NAME": "test" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "test@localhost" for who in ("AUTHOR", "COMMITTER")},
        }

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.path,
            env=self._env | env,
            capture_output=True,
            text=True,
            check=False,
        )

    def ok(self, *command: str, **env: str) -> str:
        done = self.run(*command, **env)
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def dvc(self, *arguments: str, **env: str) -> str:
        return self.ok(sys.executable, "-m", "dvc", *arguments, **env)

    def bytes_of(self, device: str) -> dict[str, bytes]:
        folders = (self.path / "devices" / device, self.path / "metrics")
        files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
        return {str(file.relative_to(self.path)): file.read_bytes() for file in files}

    def bench(self, device: str) -> dict[str, object]:
        return json.loads((self.path / f"metrics/bench/{device}/base.onnx.json").read_text())


def _project(path: Path, device: str) -> Clone:
    """The device's pipeline beside the code, with one tiny artifact built and tracked."""
    for folder in ("edgesmith", "stages", f"devices/{device}"):
        shutil.copytree(
            ROOT / folder, path / folder, ignore=shutil.ignore_patterns("__pycache__", "target")
        )
    shutil.copy(ROOT / ".dvcignore", path)
    (path / "params.yaml").write_text(PARAMS)
    (path / ".gitignore").write_text("/artifacts/*\n/tmp/\n__pycache__/\n/devices/*/target\n")
    cells = {"cells": {"base.onnx": CELL}}
    (path / f"devices/{device}/cells.yaml").write_text(yaml.safe_dump(cells))
    make_artifact(path / "artifacts/base/onnx", variant="base")
    clone = Clone(path)
    clone.ok("git", "init", "--quiet")
    clone.dvc("init", "--quiet")
    clone.dvc("config", "core.analytics", "false")
    clone.dvc("config", "cache.dir", str(path.parent / "cache"))
    return clone


def _own_device(path: Path) -> Clone:
    """The same for a device without an entry in the catalogue, which is whatever answers."""
    clone = _project(path, "rpi5")
    text = (path / "devices/rpi5/dvc.yaml").read_text().replace("rpi5", "bench-box")
    (path / "devices/rpi5").rename(path / "devices/bench-box")
    (path / "devices/bench-box/dvc.yaml").write_text(text)
    return clone


def test_a_machine_that_is_not_the_device_leaves_everything_as_it_is(tmp_path: Path) -> None:
    clone = _project(tmp_path / "laptop", "rpi5")
    device = Device(name="rpi5", fingerprint=PI, fingerprint_id=fingerprint_id(PI))
    write(device, clone.path / "devices/rpi5/device.json")
    metric = clone.path / "metrics/bench/rpi5/base.onnx.json"
    metric.parent.mkdir(parents=True)
    metric.write_text('{"of": "somebody\'s Pi"}\n')
    before = clone.bytes_of("rpi5")

    unknown = clone.run(sys.executable, "-m", "dvc", "repro", "devices/rpi5/dvc.yaml")
    assert unknown.returncode != 0 and "devices/rpi5/target: not there" in unknown.stderr
    local = {"EDGESMITH_TARGET_RPI5": "local"}
    foreign = clone.run(sys.executable, "-m", "dvc", "repro", "devices/rpi5/dvc.yaml", **local)
    assert foreign.returncode != 0
    assert "this machine" in foreign.stderr and "is not Raspberry Pi 5" in foreign.stderr
    assert clone.bytes_of("rpi5") == before


@pytest.mark.slow
def test_a_second_machine_never_shows_the_figures_of_the_first(tmp_path: Path) -> None:
    first = _own_device(tmp_path / "first")
    here = {"EDGESMITH_TARGET_BENCH_BOX": "local"}
    file = "devices/bench-box/dvc.yaml"
    first.dvc("repro", file, **here)
    first.ok("git", "add", "--all")
    first.ok("git", "commit", "--quiet", "--message", "measured")
    measured = first.bytes_of("bench-box")
    assert "Running stage 'devices/bench-box/dvc.yaml:benchmark" not in first.dvc(
        "repro", file, **here
    )
    assert first.bytes_of("bench-box") == measured

    # The same commit, the same cache, another runtime: another machine.
    site = tmp_path / "site/onnxruntime_gpu-9.9.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 9.9\n")
    first.ok("git", "clone", "--quiet", str(first.path), str(tmp_path / "second"))
    second = Clone(tmp_path / "second", site.parent)
    shutil.copytree(first.path / "artifacts", second.path / "artifacts")
    assert second.bytes_of("bench-box") == measured
    output = second.dvc("repro", file, **here)
    assert "Running stage 'devices/bench-box/dvc.yaml:benchmark@base.onnx'" in output
    assert second.bench("bench-box")["fingerprint"] != first.bench("bench-box")["fingerprint"]
    assert second.bench("bench-box")["latency_ms"] != first.bench("bench-box")["latency_ms"]
    record = json.loads((second.path / "devices/bench-box/device.json").read_text())
    assert record["fingerprint"]["runtime.onnxruntime-gpu"] == "9.9"
    assert record["fingerprint_id"] == second.bench("bench-box")["fingerprint"]

    # Back on the first machine, with the second's commit: its own figures, which DVC remembers.
    second.ok("git", "commit", "--quiet", "--all", "--message", "measured by the second")
    first.ok("git", "pull", "--quiet", "--no-rebase", str(second.path), "HEAD")
    assert first.bytes_of("bench-box") == second.bytes_of("bench-box")
    first.dvc("repro", file, **here)
    assert first.bytes_of("bench-box") == measured


@pytest.mark.slow
def test_a_device_is_probed_recognised_and_measured_over_ssh(tmp_path: Path) -> None:
    if why := why_not():
        pytest.skip(why)
    clone = _own_device(tmp_path / "host")
    shutil.copytree(ROOT / "devices/rpi5", clone.path / "devices/rpi5")
    with loopback() as device:
        login = f"ssh://{device.account}@127.0.0.1:{device.port}"
        target = f"{login}?python={quote(str(device.pythons.whole))}"
        ssh = {
            CONFIG: str(device.config),
            "EDGESMITH_TARGET_BENCH_BOX": target,
            "EDGESMITH_TARGET_RPI5": target,
        }
        clone.dvc("repro", "devices/bench-box/dvc.yaml", **ssh)
        foreign = clone.run(sys.executable, "-m", "dvc", "repro", "devices/rpi5/dvc.yaml", **ssh)
    record = json.loads((clone.path / "devices/bench-box/device.json").read_text())
    assert clone.bench("bench-box")["fingerprint"] == record["fingerprint_id"]
    assert foreign.returncode != 0 and "is not Raspberry Pi 5" in foreign.stderr
    assert not (clone.path / "devices/rpi5/device.json").exists()
