"""scripts/repro.py on a small DVC repository of its own: side by side, and as `dvc repro` would."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.imports import ROOT

pytestmark = pytest.mark.slow
_STAGE = """
import os, sys, time
from pathlib import Path
name, source, target = sys.argv[1:]
text = Path(source).read_text()
if text == "fail":
    sys.exit("error: nothing but a reason")
if text == "killed":
    os.kill(os.getpid(), 9)
if text == "wait":
    Path("started").touch()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        sys.exit("interrupted: kept")
with open("order", "a") as order:
    order.write(f"{name} starts\\n")
time.sleep(1)
with open("order", "a") as order:
    order.write(f"{name} ends\\n")
Path(target).write_text(text + f" {name} {os.environ['DVC_STAGE']} {'torch' in sys.modules}")
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two stages beside each other, one that needs both, and one that measures."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/__init__.py").touch()
    (tmp_path / "stages/copy.py").write_text(_STAGE)
    (tmp_path / "stages/benchmark.py").write_text(_STAGE)
    (tmp_path / "params.yaml").write_text("build_threads: 1\n")
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name)

    def stage(name: str, source: str, *others: str, module: str = "copy") -> dict[str, object]:
        return {
            "cmd": f"python -m stages.{module} {name} {source} {name}.out",
            "deps": [source, *others],
            "outs": [f"{name}.out"],
        }

    stages = {
        "a": stage("a", "a.txt"),
        "b": stage("b", "b.txt"),
        "both": stage("both", "a.out", "b.out"),
        "timed": stage("timed", "b.txt", module="benchmark"),
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    _dvc(tmp_path, "init", "--quiet")
    _dvc(tmp_path, "config", "core.analytics", "false")
    return tmp_path


def test_stages_run_side_by_side_and_dvc_finds_them_done(repository: Path) -> None:
    first = _repro(repository)

    assert first.returncode == 0, first.stderr
    assert (repository / "both.out").read_text() == "a a a True both both True"
    order = (repository / "order").read_text().splitlines()
    assert set(order[:2]) == {"a starts", "b starts"}
    assert order[4:] == ["both starts", "both ends", "timed starts", "timed ends"]
    assert (repository / "timed.out").read_text() == "b timed timed False"
    assert "up to date" in _dvc(repository, "status")

    (repository / "b.txt").write_text("changed")
    second = _repro(repository)

    assert second.returncode == 0, second.stderr
    assert (repository / "order").read_text().splitlines()[8:] == [
        *("b starts", "b ends", "both starts", "both ends", "timed starts", "timed ends")
    ]
    assert "up to date" in _dvc(repository, "status")


def test_pipelines_that_the_root_does_not_need_are_left_alone(repository: Path) -> None:
    # Their probe fails on every machine but one.
    other = repository / "devices/other"
    other.mkdir(parents=True)
    probe = {"cmd": "false", "always_changed": True, "outs": [{"device": {"cache": False}}]}
    (other / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"probe": probe}}))
    done = _repro(repository)
    assert done.returncode == 0, done.stderr
    assert (repository / "both.out").exists() and "devices/other" not in done.stdout


@pytest.mark.parametrize(("text", "reason"), [("fail", "nothing but a reason"), ("killed", "-9")])
def test_a_stage_that_fails_is_named_with_its_reason_and_run_again(
    repository: Path, text: str, reason: str
) -> None:
    (repository / "a.txt").write_text(text)
    failed = _repro(repository)

    assert failed.returncode == 1
    assert "a failed" in failed.stderr and reason in failed.stderr
    assert not (repository / "both.out").exists()

    (repository / "a.txt").write_text("a")
    assert _repro(repository).returncode == 0
    assert (repository / "both.out").read_text() == "a a a True both both True"


def test_ctrl_c_ends_it_and_the_stage(repository: Path) -> None:
    (repository / "a.txt").write_text("wait")
    running = subprocess.Popen(
        _COMMAND,
        cwd=repository,
        env=_ENV,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (repository / "started").exists():
        assert running.poll() is None
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=30)

    assert running.returncode == 130
    assert "interrupted" in errors
    assert "interrupted: kept" in (repository / "tmp/repro/a.log").read_text()


_COMMAND = [sys.executable, str(ROOT / "scripts/repro.py"), "2"]
_ENV = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def _repro(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        _COMMAND, cwd=folder, env=_ENV, capture_output=True, text=True, check=False
    )


def _dvc(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(
        command, cwd=folder, env=_ENV, capture_output=True, text=True, check=True
    ).stdout
