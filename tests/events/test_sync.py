"""Real logs, a real receiver, a real S3 server (moto)."""

import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from edgesmith.events import database
from edgesmith.events.errors import EventsError, SyncError, UnreachableError
from edgesmith.events.keys import Keys
from edgesmith.events.sync import batches, destination, run
from edgesmith.events.sync.destination import Http, open_destination
from edgesmith.events.sync.run import Plan, Shipped
from examples.receiver import Received, Server
from tests.events.examples import fill, rows

PLAN = Plan(max_events=10, first_wait_s=0.001)


@contextmanager
def receiving(received: Received, port: int = 0) -> Iterator[str]:
    """A receiver's address, for the block."""
    server = Server(port, received)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/events"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of 25 events."""
    fill(tmp_path / "events.db", 25)
    return tmp_path / "events.db"


@pytest.fixture
def received(tmp_path: Path) -> Received:
    return Received(tmp_path / "received.jsonl")


def _ship(log: Path, url: str, plan: Plan = PLAN) -> Shipped:
    return run.ship(log, Http(url, None), plan, threading.Event())


def _tracks(received: Received) -> list[int]:
    return [json.loads(line)["track"] for line in received.into.read_text().splitlines()]


def test_events_arrive_once_in_order_and_no_more_of_them(log: Path, received: Received) -> None:
    with receiving(received) as url:
        assert _ship(log, url) == Shipped(25, 3, ())
        assert _tracks(received) == list(range(1, 26))
        assert _ship(log, url) == Shipped(0, 0, ())
        fill(log, 5)
        assert _ship(log, url) == Shipped(5, 1, ())
    assert _tracks(received) == list(range(1, 31)) and received.duplicates == 0
    first = json.loads(received.into.read_text().splitlines()[0])
    assert first["key"] == rows(log, "key")[0]
    assert first["box"] == [1, 2, 30, 40] and first["more"] == {"artifact": "yolo26n-qat/ncnn"}
    assert len(set(received.requests)) == 4 and "" not in received.requests


def test_receivers_bad_day_delays_and_loses_nothing(log: Path, received: Received) -> None:
    received.trouble = ["500", "500", "cut", "", "500"]
    with receiving(received) as url:
        assert _ship(log, url) == Shipped(25, 3, ())
    assert _tracks(received) == list(range(1, 26))
    assert received.duplicates == 10  # the batch whose answer was cut off came twice
    assert len(set(received.requests[:4])) == 1  # under the same key


def test_slow_receiver_is_one_that_has_not_answered(
    log: Path, received: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    received.trouble, received.slow_s = ["slow"], 1.0
    monkeypatch.setattr(destination, "_TIMEOUT", destination.urllib3.Timeout(connect=5, read=0.2))
    with receiving(received) as url:
        assert _ship(log, url) == Shipped(25, 3, ())
    assert _tracks(received) == list(range(1, 26)) and received.duplicates == 10


def test_receiver_that_is_busy_says_how_long_to_wait(
    log: Path, received: Received, caplog: pytest.LogCaptureFixture
) -> None:
    received.trouble = ["busy"]
    with receiving(received) as url:
        _ship(log, url)
    assert "503" in caplog.text and "again in 1.0 s" in caplog.text


def test_receiver_that_is_away_leaves_all_for_later(log: Path, received: Received) -> None:
    with receiving(received) as url:
        pass
    with pytest.raises(UnreachableError, match="Connection refused"):
        _ship(log, url)
    with database.open_for_sync(log) as connection:
        assert batches.standing(connection, url) == (0, 25, 0)
    connection.close()
    with receiving(received, int(url.split(":")[2].split("/")[0])) as url:
        assert _ship(log, url).events == 25


def test_batch_keeps_its_key_over_failed_runs(log: Path, received: Received) -> None:
    received.trouble = ["500"] * 6
    with receiving(received) as url:
        for _ in range(3):
            with pytest.raises(UnreachableError):
                _ship(log, url, PLAN._replace(tries=2))
        assert len(received.requests) == 6 and len(set(received.requests)) == 1
        fill(log, 3)
        assert _ship(log, url, PLAN._replace(max_events=100)) == Shipped(28, 2, ())
    assert received.requests[6] == received.requests[0]


def test_refused_batch_is_set_aside_and_said_and_can_be_sent_again(
    log: Path, received: Received
) -> None:
    received.trouble = ["", "refuse"]
    with receiving(received) as url:
        shipped = _ship(log, url)
        assert (shipped.events, shipped.batches) == (15, 2)
        assert len(shipped.refused) == 1 and "422" in shipped.refused[0]
        assert "not what is taken here" in shipped.refused[0]
        assert _ship(log, url) == Shipped(0, 0, ())  # not for ever
        assert run.standing(log, Http(url, None)) == (15, 0, 10)
        assert run.take_up(log, Http(url, None)) == 1
        assert run.standing(log, Http(url, None)) == (15, 10, 0)
        assert _ship(log, url) == Shipped(10, 1, ())
        assert run.standing(log, Http(url, None)) == (25, 0, 0)
    assert sorted(_tracks(received)) == list(range(1, 26))


def test_wrong_token_stops_and_sets_nothing_aside(log: Path, received: Received) -> None:
    received.token = "right"
    with receiving(received) as url:
        with pytest.raises(SyncError, match=r"401.*nothing is lost") as caught:
            run.ship(log, Http(url, "wrong"), PLAN, threading.Event())
        assert "wrong" not in str(caught.value)
        assert len(received.requests) == 1
        assert run.standing(log, Http(url, None)) == (0, 25, 0)
        assert run.ship(log, Http(url, "right"), PLAN, threading.Event()).events == 25


def test_each_destination_gets_everything(log: Path, tmp_path: Path) -> None:
    one, other = Received(tmp_path / "one.jsonl"), Received(tmp_path / "other.jsonl")
    with receiving(one) as first, receiving(other) as second:
        assert _ship(log, first).events == _ship(log, second).events == 25
    assert _tracks(one) == _tracks(other)


def test_only_one_ships_a_log_at_a_time(log: Path, received: Received) -> None:
    with (
        receiving(received) as url,
        database.alone(log, "sync"),
        pytest.raises(EventsError, match="another process does sync"),
    ):
        _ship(log, url)


def test_writer_goes_on_while_a_receiver_is_slow(log: Path, received: Received) -> None:
    received.trouble, received.slow_s = ["slow"], 0.5
    with receiving(received) as url:
        thread = threading.Thread(target=_ship, args=(log, url))
        thread.start()
        while not received.requests:
            time.sleep(0.005)
        fill(log, 100)  # a slow receiver holds no lock of the log
        assert len(rows(log)) == 125
        thread.join()
    assert _tracks(received) == list(range(1, 126))


def test_killed_sync_goes_on_where_it_was(log: Path, received: Received) -> None:
    received.trouble, received.slow_s = ["", "slow"], 30.0
    program = """
        import sys, threading
        from pathlib import Path
        from edgesmith.events.sync.destination import Http
        from edgesmith.events.sync.run import Plan, ship
        ship(Path(sys.argv[1]), Http(sys.argv[2], None), Plan(10), threading.Event())
    """
    with receiving(received) as url:
        command = [sys.executable, "-c", textwrap.dedent(program), str(log), url]
        with subprocess.Popen(command) as process:
            _until(lambda: len(received.keys) == 20)
            process.send_signal(signal.SIGKILL)
        received.slow_s = 0.0
        assert _ship(log, url) == Shipped(15, 2, ())
    assert _tracks(received) == list(range(1, 26)) and received.duplicates == 10


def test_events_that_were_removed_in_the_meantime_do_not_stop_the_rest(
    log: Path, received: Received
) -> None:
    received.trouble = ["500"]
    with receiving(received) as url:
        with pytest.raises(UnreachableError):
            _ship(log, url, PLAN._replace(tries=1))
        connection = database.open_for_sync(log)
        connection.execute("DELETE FROM events WHERE id <= 12")
        connection.close()
        assert _ship(log, url).events == 13
    assert _tracks(received) == list(range(13, 26))


def test_large_events_make_small_batches(log: Path, received: Received) -> None:
    fill(log, 30, words="w" * 100_000)
    with receiving(received) as url:
        shipped = _ship(log, url, Plan(max_events=1000))
    assert shipped.events == 55 and shipped.batches >= 4


def test_following_ships_what_comes_until_it_is_told_to_end(log: Path, received: Received) -> None:
    received.trouble = ["500"] * 3
    ended = threading.Event()
    with receiving(received) as url:
        thread = threading.Thread(
            target=run.follow, args=(log, Http(url, None), PLAN._replace(tries=None), 0.02, ended)
        )
        thread.start()
        _until(lambda: len(received.keys) == 25)
        fill(log, 2)
        _until(lambda: len(received.keys) == 27)
        ended.set()
        thread.join(10)
        assert not thread.is_alive()


def test_following_ends_at_once_while_it_waits_for_a_receiver(log: Path) -> None:
    ended = threading.Event()
    plan = Plan(tries=None, first_wait_s=600)
    target = Http("http://127.0.0.1:9/", None)
    thread = threading.Thread(target=run.follow, args=(log, target, plan, 600, ended))
    thread.start()
    time.sleep(0.1)
    ended.set()
    thread.join(10)
    assert not thread.is_alive()


def test_batch_of_an_event_log_in_use_has_the_picture(log: Path, tmp_path: Path) -> None:
    connection = database.open_for_sync(log)
    connection.execute("UPDATE events SET picture = x'ffd8ff' WHERE id = 1")
    batch = batches.next_batch(connection, "x", 5, True, Keys())
    assert batch is not None
    body = json.loads(batches.content(connection, batch, True)[0])
    assert body["events"][0]["jpeg_base64"] == "/9j/" and "jpeg_base64" not in body["events"][1]
    assert (
        "jpeg_base64" not in json.loads(batches.content(connection, batch, False)[0])["events"][0]
    )
    connection.close()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://host/x", "write https://host/path or s3://bucket/prefix"),
        ("https://", "write https://host/path"),
        ("https://me:secret@host/x", "holds a password"),
        ("s3:///prefix", "write https://host/path or s3"),
    ],
)
def test_address_that_is_none_is_refused(address: str, words: str) -> None:
    with pytest.raises(SyncError, match=words) as caught:
        open_destination(address, None)
    assert "secret" not in str(caught.value)


def test_token_comes_from_a_file_or_the_environment(
    tmp_path: Path,
    log: Path,
    received: Received,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    received.token = "t0ken"
    file = tmp_path / "token"
    file.write_text("t0ken\n")
    file.chmod(0o644)
    with receiving(received) as url:
        run.ship(log, open_destination(url, file), PLAN, threading.Event())
        assert "others can read this token" in caplog.text
        fill(log, 1)
        monkeypatch.setenv(destination.TOKEN, "t0ken")
        assert run.ship(log, open_destination(url, None), PLAN, threading.Event()).events == 1
    file.write_text("two tokens")
    with pytest.raises(SyncError, match="on one line, and nothing else"):
        open_destination(url, file)
    assert "goes over the network" not in caplog.text
    open_destination("http://example.org/", None)
    assert "goes over the network as it is" in caplog.text


def test_receiver_goes_on_after_a_crash(tmp_path: Path, received: Received) -> None:
    received.take({"device": "d", "events": [{"key": "a"}, {"key": "b"}]})
    with received.into.open("a") as stream:
        stream.write('{"device": "d", "key": "c')  # cut off
    again = Received(received.into)
    assert again.keys == {"a", "b"}
    assert again.take({"device": "d", "events": [{"key": "b"}, {"key": "c"}]}) == 1
    assert len(received.into.read_text().splitlines()) == 3


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server with a bucket; its address."""
    pytest.importorskip("minio")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    destination.urllib3.request("PUT", f"http://{host}:{port}/events", retries=False)
    yield f"http://{host}:{port}/events"
    server.stop()


def test_s3_holds_an_object_per_batch(bucket: str, log: Path) -> None:
    target = open_destination("s3://events/camera-1", None)
    assert run.ship(log, target, PLAN, threading.Event()) == Shipped(25, 3, ())
    client = pytest.importorskip("minio").Minio(
        urlsplit(bucket).netloc, access_key="key", secret_key="secret", secure=False
    )
    names = [str(found.object_name) for found in client.list_objects("events", recursive=True)]
    assert len(names) == 3 and names == sorted(names)  # in the order of their making
    bodies = [json.loads(client.get_object("events", name).data) for name in names]
    tracks = [event["track"] for body in bodies for event in body["events"]]
    assert tracks == list(range(1, 26))
    assert names == [f"camera-1/{body['batch']}.json" for body in bodies]


def test_s3_bucket_that_is_not_there_stops_and_loses_nothing(bucket: str, log: Path) -> None:
    target = open_destination("s3://other-bucket", None)
    with pytest.raises(SyncError, match=r"404.*nothing is lost"):
        run.ship(log, target, PLAN, threading.Event())
    assert run.standing(log, target) == (0, 25, 0)


def test_s3_without_credentials_says_which(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("minio")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(SyncError, match="set AWS_ACCESS_KEY_ID"):
        run.ship(log, open_destination("s3://bucket/x", None), PLAN, threading.Event())


def _until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come")
