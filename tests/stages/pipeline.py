"""A checkout of its own in which `dvc` and stages run as a user runs them."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from edgesmith import files
from edgesmith.params import Params, load_params
from tests.imports import ROOT

PROBE = "devices/host/dvc.yaml:probe"
# By format; TorchScript is timed in the table of runtimes alone.
BENCHED = ("onnx", "tflite", "ncnn")
FORMATS = (*BENCHED, "torchscript")
ONNX, BENCH = "pipelines/onnx/dvc.yaml", "devices/host/onnx/dvc.yaml"
RUNTIMES = "devices/host/runtimes/dvc.yaml"
RESUME = ROOT / "tests/stages/resume.yaml"
_RAN = re.compile(r"^(?:Running stage '(.+)':|Stage '(.+)' is cached)", re.MULTILINE)


class Pipeline:
    """A copy of the working tree with its own git and DVC, on tiny data and networks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._env = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(path),
            "OMP_WAIT_POLICY": "PASSIVE",
            # What DVC remembers of this folder goes away with it.
            "DVC_SITE_CACHE_DIR": str(path / "tmp/dvc"),
            **{f"GIT_{who}_NAME": "test" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "test@localhost" for who in ("AUTHOR", "COMMITTER")},
        }

    @property
    def params(self) -> Params:
        """The parameters as they are now."""
        return load_params(self.path / "params.yaml")

    def cells(self) -> dict[str, set[str]]:
        """The variants of each format."""
        return {
            "onnx": set(self.params.variants),
            **{name: set(cells) for name, cells in self.params.formats},
        }

    def set_up(self, *, build: bool) -> None:
        """Copy the working tree by scripts/smoke.sh, which then also builds all of it."""
        script = (ROOT / "scripts/smoke.sh").read_text()
        repro = "python scripts/repro.py\ndvc repro\nedgesmith compare\n"
        assert script.endswith(repro)
        if not build:
            script = script.removesuffix(repro)
        self._call(["bash", "-c", script, "smoke.sh", str(self.path), str(RESUME)], cwd=ROOT)

    def commit(self) -> None:
        """Commit everything, as `dvc exp run` wants it."""
        self._call(["git", "add", "--all"])
        self._call(["git", "commit", "--quiet", "--message", "built"])

    def fork(self, path: Path) -> "Pipeline":
        """A copy of this copy as it is, cache included."""
        shutil.copytree(self.path, path, symlinks=True)
        return Pipeline(path)

    def dvc(self, *arguments: str) -> str:
        """Output of a DVC command that succeeds."""
        return self._call([sys.executable, "-m", "dvc", *arguments])

    def refused(self, *arguments: str) -> str:
        """What a DVC command says that fails, on standard error."""
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(
            command, check=False, cwd=self.path, env=self._env, capture_output=True, text=True
        )
        assert done.returncode != 0, f"{command}:\n{done.stdout}"
        return done.stderr

    def edgesmith(self, *arguments: str) -> str:
        """Output of an `edgesmith` command that succeeds."""
        return self._call(["edgesmith", *arguments])

    def repro(self, *arguments: str) -> set[str]:
        """The stages that `dvc repro` ran or took from its run cache."""
        output = self.dvc("repro", *arguments)
        return {ran or restored for ran, restored in _RAN.findall(output)}

    def changed(self) -> set[str]:
        """The stages that `dvc status` calls out of date.

        But for the probes, which always are, and for stages of toolchains, which never ran here.
        """
        status = yaml.safe_load(self.dvc("status", "--json"))
        return {
            name
            for name in status
            if not name.endswith(":probe") and not name.startswith("toolchains/")
        }

    def stage(self, *arguments: str) -> str:
        """Output of `python -m stages.…`."""
        return self._call([sys.executable, "-m", *arguments])

    def killed(self, command: Sequence[str], when: Callable[[], bool]) -> None:
        """Start a Python command, and end it and all its children by SIGKILL at a moment."""
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=self.path,
            env=self._env,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while not when():
            assert process.poll() is None, f"{command} ended before it could be killed"
            assert time.monotonic() < deadline, f"{command}: the moment did not come"
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL

    def append(self, file: str, text: str) -> None:
        """Add text to the end of a file."""
        path = self.path / file
        path.write_text(path.read_text() + text)

    def overlay(self, text: str) -> None:
        """Merge YAML into params.yaml."""
        change = self.path / "tmp/change.yaml"
        files.write_text(change, text)
        self.edgesmith("overlay", str(change))

    def hashes(self) -> dict[str, dict[str, str]]:
        """Hash of every output by stage, as dvc.lock has it; not of what was measured."""
        found = {}
        for file in ("dvc.yaml", *(f"pipelines/{name}/dvc.yaml" for name in FORMATS)):
            path = (self.path / file).with_suffix(".lock")
            if not path.is_file():
                continue  # nothing of it ran yet
            lock = yaml.safe_load(path.read_text())
            for stage, body in lock["stages"].items():
                name = stage if file == "dvc.yaml" else f"{file}:{stage}"
                found[name] = {
                    out["path"]: out["md5"]
                    for out in body.get("outs", [])
                    if not out["path"].startswith("metrics/export/")
                }
        return found

    def _call(self, command: Sequence[str], cwd: Path | None = None) -> str:
        done = subprocess.run(
            command,
            check=False,  # the assertion shows what it printed
            cwd=cwd or self.path,
            env=self._env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def cpu_seconds() -> float:
    """Of all processes that this one has started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
