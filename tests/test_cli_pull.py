import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edgesmith.cli import app
from edgesmith.deliver import selftest
from tests.deliver.publisher import Publisher, make


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    monkeypatch.setattr(selftest, "test", lambda *_: selftest.Tested(200.0, 1.0, 1.0, "not run"))
    monkeypatch.setenv("EDGESMITH_STORE", str(tmp_path / "store"))
    made = Publisher(tmp_path)
    made.publish(made.artifact(make(tmp_path / "built")))
    return made


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _ok(*arguments: object) -> str:
    result = _run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_pull_says_what_is_current_and_releases_lists_it(
    published: Publisher, tmp_path: Path
) -> None:
    said = _ok("pull", published.remote, "--key", published.public)
    current = tmp_path / "store/releases/000001/tiny"
    assert f"current: {current}" in said and (current / "contract.json").is_file()
    found = json.loads(_ok("pull", published.remote, "--json"))
    assert not found["changed"] and found["current"] == str(current)
    assert _ok("releases").startswith("* 1  serial 1  ")
    published.publish(published.artifact(make(tmp_path / "second", seed=1)))
    _ok("pull", published.remote)
    assert json.loads(_ok("rollback", "--json")) == {"former": 2, "active": 1}
    assert [r["active"] for r in json.loads(_ok("releases", "--json"))] == [True, False]


def test_device_that_this_machine_is_not_is_refused(published: Publisher) -> None:
    result = _run("pull", published.remote, "--key", published.public, "--device", "rpi5")
    assert result.exit_code == 1 and "is not Raspberry Pi 5" in result.stderr


def test_rollback_of_nothing_says_what_to_do(published: Publisher) -> None:
    result = _run("rollback")
    assert result.exit_code == 1 and "nothing is active; `edgesmith pull SOURCE`" in result.stderr
