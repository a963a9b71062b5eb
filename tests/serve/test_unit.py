import configparser
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgesmith.cli import app
from edgesmith.serve import unit

analyze = shutil.which("systemd-analyze")


def _invoke(*words: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["install-service", *map(str, words)])
    assert result.exit_code == status, result.output
    return result.stdout if status == 0 else result.stderr


def _read(text: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, strict=False)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string(text)
    return found


def test_unit_restarts_a_loop_that_fails_or_finishes_no_frame(artifact: Path) -> None:
    text = _invoke(artifact, "--source", "synthetic", "--every", "3", "--dry-run")
    service = _read(text)["Service"]
    assert service["Type"] == "notify" and service["Restart"] == "on-failure"
    assert service["WatchdogSec"] == "90" and service["KillMode"] == "mixed"
    command = shlex.split(service["ExecStart"])
    assert command[1:5] == ["-m", "edgesmith", "serve", str(artifact)]
    assert command[5:] == ["--source", "synthetic", "--every", "3"]


@pytest.mark.skipif(analyze is None, reason="no systemd-analyze here")
@pytest.mark.parametrize("user", [True, False])
def test_systemd_takes_the_unit(artifact: Path, tmp_path: Path, user: bool) -> None:
    options = ["--user"] if user else []
    name = "odd name %n $HOME"
    (tmp_path / name).mkdir()
    out = tmp_path / name / "seen.jsonl"
    text = _invoke(artifact, "--source", "synthetic", "--jsonl", out, "--dry-run", *options)
    path = tmp_path / "edgesmith.service"
    path.write_text(text)
    done = subprocess.run([analyze, "verify", path], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "edgesmith.service" not in done.stderr  # it warns of words that it does not know


def test_service_of_the_system_may_write_where_its_outputs_lie_alone(
    artifact: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out/seen.jsonl"
    text = _invoke(artifact, "--source", "synthetic", "--jsonl", out, "--dry-run")
    service = _read(text)["Service"]
    assert service["ProtectSystem"] == "strict"
    assert service["ReadWritePaths"] == str(tmp_path / "out")
    # It implies DeviceAllow=, under which no camera can be opened.
    assert "ProtectClock" not in service


def test_unit_is_written_and_says_how_to_start_it(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    text = _invoke(artifact, "--source", "synthetic", "--user", "--name", "door")
    path = tmp_path / "systemd/user/door.service"
    assert f"written: {path}" in text and "systemctl --user enable --now door" in text
    assert "WantedBy=default.target" in path.read_text()


def test_what_serve_would_refuse_is_not_installed(artifact: Path, tmp_path: Path) -> None:
    words = (artifact, "--user", "--source")
    assert "no such file" in _invoke(*words, "gone.mp4", status=1)
    assert "--every often" in _invoke(*words, "synthetic", "--every", "often", status=1)
    assert "--bogus" in _invoke(*words, "synthetic", "--bogus", "1", status=2)
    assert "--name a/b" in _invoke(*words, "synthetic", "--name", "a/b", status=1)
    (artifact / "model.onnx").write_bytes(b"damaged")
    assert "does not match contract.json" in _invoke(*words, "synthetic", status=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unit_that_cannot_be_written_says_who_may(artifact: Path) -> None:
    assert "call it with sudo" in _invoke(artifact, "--source", "synthetic", status=1)


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("plain/path-1.onnx", "plain/path-1.onnx"),
        ("two words", '"two words"'),
        ("100%", "100%%"),
        ("$HOME", "$$HOME"),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("", '""'),
    ],
)
def test_words_are_quoted_as_systemd_reads_them(word: str, quoted: str) -> None:
    assert unit.quote(word) == quoted
