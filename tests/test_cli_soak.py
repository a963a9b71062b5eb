import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgesmith.cli import app
from edgesmith.soak import rows
from tests.soak.recording import head, heated


def _invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["soak", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def _fail(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["soak", *map(str, arguments)])
    assert result.exit_code == 1 and result.stderr.startswith("error: ")
    return result.stderr


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The folder of a run that was killed after ten minutes."""
    recording = heated()
    with rows.Writer(tmp_path / "warm", recording.head) as writer:
        for row in recording.rows:
            writer.add(row)
    return tmp_path / "warm"


def test_run_gives_table_summary_and_picture(artifact: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = _invoke(artifact, "--minutes", 0.01, "--interval", 0.1, "--out", out)
    assert "steady state" in text and "until, s" in text and "no meter given" in text
    assert sorted(path.name for path in out.iterdir()) == ["soak.jsonl", "soak.png", "summary.json"]
    assert (out / "soak.png").read_bytes().startswith(b"\x89PNG")


def test_killed_run_is_summarised_and_drawn_later(killed: Path) -> None:
    text = _invoke("--plot", killed)
    assert "killed" in text and "82.0 °C at most, settled" in text
    assert "50% of the time (soft temperature limit 50%)" in text
    first = (killed / "soak.png").read_bytes()
    content = json.loads(_invoke("--plot", killed, "--json"))
    assert content["steady"]["clock_mhz"] == 1600
    assert (killed / "soak.png").read_bytes() == first


def test_device_without_matplotlib_says_how_to_draw(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "edgesmith.soak.plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "`edgesmith soak --plot warm`" in _invoke("--plot", killed)
    assert (killed / "summary.json").is_file() and not (killed / "soak.png").exists()


def test_without_artifact_and_without_folder_nothing_can_be_done(artifact: Path) -> None:
    assert "an artifact to run, or --plot" in _fail()
    assert "an artifact to run, or --plot" in _fail(artifact, "--plot", artifact)


def test_run_without_a_row_has_no_summary(tmp_path: Path) -> None:
    with rows.Writer(tmp_path / "short", head()):
        pass
    assert "no row" in _fail("--plot", tmp_path / "short")
