"""`edgesmith events` and `edgesmith sync`, from the log to a receiver."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edgesmith.cli import app
from edgesmith.events import database, store
from edgesmith.events.event import Event
from edgesmith.events.keys import Keys
from examples.receiver import Received
from tests.events.examples import fill
from tests.events.test_sync import receiving


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Thirty cars of a day ago, and a sign of now."""
    path = tmp_path / "events.db"
    fill(path, 30, time.time() - 86400)
    connection, _ = database.open_log(path, "normal")
    sign = Event("answer", time.time(), "sign", "sign", score=0.75)
    store.append(connection, [(Keys().make(), sign)])
    connection.close()
    return path


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_events_are_listed_and_filtered(log: Path) -> None:
    lines = _run("events", log, "--limit", 5).stdout.splitlines()
    assert len(lines) == 5 and lines[-1].endswith("75 %  sign")
    for filters in (("--since", "1h"), ("--label", "sign"), ("--kind", "answer")):
        (found,) = json.loads(_run("events", log, *filters, "--json").stdout)
        assert found["id"] == 31 and found["score"] == 0.75 and "track" not in found
    assert _run("events", log, "--label", "tram").stdout == "no such event\n"
    assert "write 15m, 2h or 3d" in _run("events", log, "--since", "yesterday").stderr


def test_log_is_summed_up(log: Path) -> None:
    found = json.loads(_run("events", log, "--stats", "--json").stdout)
    assert found["events"] == 31 and found["kinds"] == {"begin": 30, "answer": 1}
    assert found["labels"] == {"car": 30, "sign": 1} and found["destinations"] == []
    assert "car 30, sign 1" in _run("events", log, "--stats").stdout


def test_what_is_no_log_is_said(tmp_path: Path) -> None:
    assert "no such event log" in _run("events", tmp_path / "events.db").stderr
    (tmp_path / "text").write_text("not a database, but long enough to be looked at" * 50)
    assert "cannot be read as an event log" in _run("events", tmp_path / "text").stderr
    assert "no such event log" in _run("sync", tmp_path / "events.db", "http://x/").stderr
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_sync_ships_and_says_how_far_it_is(log: Path, tmp_path: Path) -> None:
    received = Received(tmp_path / "received.jsonl", trouble=["", "refuse"])
    with receiving(received) as url:
        refused = _run("sync", log, url, "--batch", 10)
        assert refused.exit_code == 1 and "--retry-refused" in refused.stderr
        assert "10 events are set aside" in refused.stdout
        again = _run("sync", log, url, "--retry-refused", "--json")
        assert again.exit_code == 0
        assert json.loads(again.stdout)["standing"] == {"shipped": 31, "waiting": 0, "aside": 0}
        assert f"{url}  31 shipped, 0 waiting" in _run("events", log, "--stats").stdout
    assert len(received.keys) == 31


def test_destination_that_was_given_up_is_forgotten(log: Path, tmp_path: Path) -> None:
    with receiving(Received(tmp_path / "received.jsonl", trouble=["refuse"])) as url:
        _run("sync", log, url)
        assert json.loads(_run("events", log, "--stats", "--json").stdout)["destinations"]
        assert _run("sync", log, url, "--forget").exit_code == 0
    assert json.loads(_run("events", log, "--stats", "--json").stdout)["destinations"] == []


def test_sync_fails_when_nobody_answers(log: Path) -> None:
    failed = _run("sync", log, "http://127.0.0.1:9/", "--tries", 1)
    assert failed.exit_code == 1 and "Connection refused" in failed.stderr


def test_following_sync_ends_cleanly_when_it_is_told_to(log: Path, tmp_path: Path) -> None:
    received = Received(tmp_path / "received.jsonl")
    with receiving(received) as url:
        command = [sys.executable, "-m", "edgesmith", "sync", str(log), url, "--follow"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            for _ in range(1000):
                if len(received.keys) == 31:
                    break
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
    assert len(received.keys) == 31
