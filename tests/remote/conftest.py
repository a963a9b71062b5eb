"""A device for all tests of this folder: this machine, under an account of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ssh.loopback import Loopback, loopback, why_not
from edgesmith.remote.connection import CONFIG
from edgesmith.remote.options import Options


@pytest.fixture(scope="session")
def started() -> Iterator[Loopback]:
    if why := why_not():
        pytest.skip(why)
    with loopback() as device:
        yield device


@pytest.fixture
def device(started: Loopback, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """The device, reached as its owner set it up; nothing of a test may be left on it."""
    monkeypatch.setenv(CONFIG, str(started.config))
    before = contents(started.home)
    yield started
    assert contents(started.home) == before
    assert started.processes() == []


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def said() -> list[str]:
    """What the host told its user."""
    return []


@pytest.fixture
def options(said: list[str]) -> Options:
    return Options(timeout_s=60, say=said.append)
