"""What was published, and a device that pulls it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgesmith.deliver import fetch, pull
from edgesmith.deliver.pull import Pulled
from edgesmith.deliver.source.source import open_source
from edgesmith.deliver.store import Store
from edgesmith.device import fingerprint
from edgesmith.device.catalogue import reader
from tests.deliver.publisher import Publisher, make
from tests.deliver.server import Web, serve

WEIGHT = 1_000_000


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path)


@pytest.fixture
def published(publisher: Publisher, tmp_path: Path) -> Publisher:
    """One artifact of a megabyte."""
    publisher.publish(publisher.artifact(make(tmp_path / "built", weight=WEIGHT)))
    return publisher


@pytest.fixture
def web(publisher: Publisher) -> Iterator[Web]:
    with serve(publisher.remote) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


Pull = Callable[..., Pulled]


@pytest.fixture
def pull_(publisher: Publisher, store: Store, monkeypatch: pytest.MonkeyPatch) -> Pull:
    """Pulls as the device `host`, trusting the publisher, without long pauses."""
    monkeypatch.setattr(fetch, "_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(fetch, "_MOST_SECONDS", 0.02)
    machine = fingerprint.fingerprint()

    def run(address: object = None, **changes: object) -> Pulled:
        held = changes.pop("store", store)
        settings = {"key": publisher.public, "quiet": True, "attempts": 3, **changes}
        request = pull.Request(reader.read("host"), machine, **settings)
        source = open_source(str(address or publisher.remote))
        try:
            return pull.pull(held, source, request, lambda _: None)
        finally:
            source.close()

    return run
