import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesmith.serve.notify import Notifier
from tests.serve.systemd import Receiver


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(tmp_path / "notify") as found:
        yield found


def test_words_arrive_in_one_datagram(receiver: Receiver) -> None:
    Notifier({"NOTIFY_SOCKET": receiver.address}).tell(READY="1", STATUS="running: 29.8 FPS")
    assert receiver.take() == ["READY=1\nSTATUS=running: 29.8 FPS"]


def test_address_in_the_abstract_namespace_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind("\0edgesmith-test-notify")
        abstract.settimeout(5)
        Notifier({"NOTIFY_SOCKET": "@edgesmith-test-notify"}).tell(WATCHDOG="1")
        assert abstract.recv(100) == b"WATCHDOG=1"


def test_loop_that_is_no_service_tells_nobody() -> None:
    Notifier({}).tell(READY="1")
    Notifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).tell(READY="1")


def test_ping_is_due_twice_within_the_watchdogs_limit() -> None:
    assert Notifier({"WATCHDOG_USEC": "30000000"}).ping_s == 15
    assert Notifier({}).ping_s is None
