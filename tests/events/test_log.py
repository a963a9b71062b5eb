"""Real files, killed processes, full disks."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesmith.events import database, schema, store
from edgesmith.events.errors import EventsError
from edgesmith.events.event import Event
from edgesmith.events.keys import Keys
from edgesmith.events.log import EventLog
from edgesmith.events.writer import Limits, Writer
from tests.events.examples import LABELS, event, fill, rows
from tests.serve.outputs.frames import picture, result, status


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


def test_frames_become_rows(path: Path) -> None:
    log = EventLog(path, LABELS, pictures=True)
    for number in range(5):
        log.put(picture(), result(number), status())
    log.flush()
    assert rows(path, "words") == ["running", "car 7 appeared", "person 8 appeared"]
    assert log.committed == 3
    log.close()
    assert rows(path, "kind")[3:] == ["end", "end"]  # what was in view has ended
    jpeg = rows(path, "picture")[1]
    assert isinstance(jpeg, bytes)
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (60, 80, 3)
    assert sorted(p.name for p in path.parent.iterdir()) == ["events.db", "events.db.write-lock"]


def test_put_does_not_wait_for_the_disk(path: Path) -> None:
    log = EventLog(path, LABELS)
    with sqlite3.connect(path) as other:
        other.execute("BEGIN IMMEDIATE")  # the writer cannot commit meanwhile
        log.add([event(1)])
        for number in range(5):
            log.put(picture(), result(number), status())
        with pytest.raises(EventsError, match=r"not written within 0\.2 s"):
            log.flush(0.2)
        assert log.committed == 0
        other.execute("ROLLBACK")
    other.close()
    log.flush()
    assert log.committed == 4
    log.close()


def test_events_are_committed_without_being_asked(path: Path) -> None:
    log = EventLog(path, LABELS, commit_s=0.05)
    log.add([event(1)])
    for _ in range(200):
        if log.committed:
            break
        time.sleep(0.01)
    assert rows(path) == [1]
    log.close()


def test_second_writer_is_refused_and_a_dead_one_is_not_in_the_way(path: Path) -> None:
    log = EventLog(path, LABELS)
    with pytest.raises(EventsError, match="another process"):
        EventLog(path, LABELS)
    log.close()
    EventLog(path, LABELS).close()


WRITER = """
    import sys, time
    from pathlib import Path
    from edgesmith.events.log import EventLog
    from tests.events.examples import LABELS, event
    log = EventLog(Path(sys.argv[1]), LABELS, commit_s=0.001)
    number = 0
    while True:
        for _ in range(20):
            number += 1
            log.add([event(number)])
        log.flush()
        print(number, flush=True)
"""


@pytest.mark.parametrize("after_lines", [1, 7, 40])
def test_killed_writer_loses_nothing_acknowledged(path: Path, after_lines: int) -> None:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(after_lines)][-1]
        process.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split("\n")[:-1])])
    log = EventLog(path, LABELS)
    tracks = rows(path, "track")
    assert tracks[:acknowledged] == list(range(1, acknowledged + 1))
    assert tracks == list(range(1, len(tracks) + 1))  # and nothing twice or out of order
    log.add([event(0)])
    log.flush()
    keys = rows(path, "key")
    assert keys == sorted(keys)  # type: ignore[type-var]
    log.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    # Lazily: a log that a failed test left open must not keep it.
    subprocess.run(["umount", "-l", folder], check=True)


def test_full_disk_takes_the_oldest_and_says_so(small_disk: Path) -> None:
    path = small_disk / "events.db"
    log = EventLog(path, LABELS)
    for number in range(200):
        log.add(event(number * 50 + k, words="x" * 150) for k in range(50))
        log.flush()
    tracks = [track for track in rows(path, "track") if track is not None]
    assert tracks[-1] == 9999  # the newest is there
    assert 0 not in tracks and len(tracks) < 10_000
    assert tracks == list(range(tracks[0], 10_000))  # type: ignore[call-overload]  # no gap
    log.close()
    lost = [words for words in rows(path, "words") if str(words).startswith("disk full")]
    assert lost and "oldest events were removed" in str(lost[-1])
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_disk_that_others_filled_costs_few_events_and_is_used_again(small_disk: Path) -> None:
    path = small_disk / "events.db"
    log = EventLog(path, LABELS)
    log.add(event(number) for number in range(1000))
    log.flush()
    others = small_disk / "others"
    with pytest.raises(OSError), others.open("wb") as stream:
        while True:
            stream.write(bytes(4096))
            stream.flush()
    added = 1000
    with pytest.raises(EventsError):  # for a while old events make room, then nothing does
        while True:
            log.add(event(added + k, words="y" * 500) for k in range(200))
            added += 200
            log.flush(0.5)
    kept = len(rows(path))
    time.sleep(2.5)  # it goes on trying, and each try must not cost a tenth of what is there
    assert len(rows(path)) >= kept - 200
    others.unlink()
    log.flush()
    assert [t for t in rows(path, "track") if t is not None][-1] == added - 1
    log.close()


def test_damaged_log_is_kept_aside_and_a_new_one_begun(path: Path) -> None:
    fill(path, 500)
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 6] = b"\xff" * (4096 * 4)
    path.write_bytes(content)
    log = EventLog(path, LABELS)
    log.add([event(1)])
    log.close()
    assert str(rows(path, "words")[0]).startswith("the log was damaged; it is kept as events.db.da")
    assert rows(path, "words")[1:] == ["car 1 appeared"]
    (aside,) = path.parent.glob("events.db.damaged-*")
    assert aside.read_bytes() == bytes(content)


@pytest.mark.parametrize(
    "content", [b"not a database" * 500, b"SQLite format 3\x00" + b"\x07" * 99]
)
def test_file_that_is_no_database_is_kept_aside(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    EventLog(path, LABELS).close()
    assert len(rows(path)) == 1
    assert next(path.parent.glob("events.db.damaged-*")).read_bytes() == content


def test_log_that_is_damaged_while_in_use_is_begun_anew(path: Path) -> None:
    log = EventLog(path, LABELS)
    log.add(event(number) for number in range(2000))
    log.flush()
    log._writer._checkpoint()
    log._writer._connection.execute("PRAGMA shrink_memory")  # what it has read already would do
    with path.open("r+b") as stream:
        stream.write(b"\xff" * path.stat().st_size)
    log.add([event(1, words="after")])
    log.flush()
    log.close()
    assert "after" in rows(path, "words") and len(rows(path)) == 2
    assert list(path.parent.glob("events.db.damaged-*"))


def test_log_in_a_place_that_is_none_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EventsError):
        EventLog(tmp_path / "file" / "events.db", LABELS)
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(EventsError, match="name a file on a disk"):
        EventLog(tmp_path / "folder.db", LABELS)


def test_log_of_the_first_version_is_brought_up_to_this(path: Path) -> None:
    with sqlite3.connect(path) as old:
        for statement in schema.STEPS[0]:
            old.execute(statement)
        old.execute("PRAGMA user_version = 1")
        row = (Keys().make(), 5.0, "begin", "car 1 appeared", "{}")
        old.execute("INSERT INTO events (key, at_s, kind, words, more) VALUES (?,?,?,?,?)", row)
    old.close()
    EventLog(path, LABELS).close()
    assert rows(path, "words") == ["car 1 appeared"]
    with sqlite3.connect(path) as new:
        assert new.execute("PRAGMA user_version").fetchone()[0] == len(schema.STEPS)
        assert new.execute("SELECT COUNT(*) FROM batches").fetchone()[0] == 0
    new.close()


def test_log_of_a_later_version_is_left_alone(path: Path) -> None:
    fill(path, 1)
    with sqlite3.connect(path) as later:
        later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(EventsError, match="a later edgesmith"):
        EventLog(path, LABELS)
    assert rows(path) == [1]


DAY = 86400.0
NOW = 1_800_000_000.0


class Clocks:
    """The device's clock, which may be set, and the one that nobody sets."""

    def __init__(self) -> None:
        self.wall, self.steady = NOW, 0.0

    def writer(self, path: Path, limits: Limits) -> Writer:
        return Writer(path, limits, "normal", lambda: self.wall, lambda: self.steady)

    def pass_s(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def test_old_events_go_and_new_ones_stay(path: Path) -> None:
    fill(path, 50, NOW - 40 * DAY)
    fill(path, 1200, NOW)
    writer = Clocks().writer(path, Limits(keep_days=30))
    assert writer.tend() == []
    assert rows(path) == list(range(51, 1251))
    writer.close()


def test_the_newest_thousand_stay_however_old(path: Path) -> None:
    fill(path, 1100, NOW - 400 * DAY)
    writer = Clocks().writer(path, Limits(keep_days=30))
    writer.tend()
    assert rows(path) == list(range(101, 1101))
    writer.close()


def test_clock_that_jumps_removes_nothing_until_it_has_been_steady(path: Path) -> None:
    fill(path, 3000, NOW)
    clocks = Clocks()
    writer = clocks.writer(path, Limits(keep_days=30))
    clocks.wall += 3650 * DAY  # a wrong year, for a moment
    writer.tend()
    assert len(rows(path)) == 3000
    clocks.wall -= 3650 * DAY
    clocks.pass_s(60)
    writer.tend()
    clocks.pass_s(7200)
    writer.tend()
    assert len(rows(path)) == 3000
    writer.close()


def test_clock_that_is_set_back_removes_nothing_and_ids_go_on(path: Path) -> None:
    fill(path, 2000, NOW)
    clocks = Clocks()
    writer = clocks.writer(path, Limits(keep_days=30))
    clocks.wall = 100.0  # 1970: a board without a battery
    writer.tend()
    clocks.pass_s(7200)
    writer.tend()
    assert len(rows(path)) == 2000
    writer.close()
    fill(path, 1500, 100.0)
    assert rows(path) == list(range(1, 3501))
    keys = rows(path, "key")
    assert keys == sorted(keys)  # type: ignore[type-var]
    # The clock is set at last: what was logged in 1970 is not taken for fifty years old.
    clocks = Clocks()
    writer = clocks.writer(path, Limits(keep_days=30))
    writer.tend()
    assert len(rows(path)) == 3500
    writer.close()


def test_log_shrinks_to_its_size_and_says_what_was_not_shipped(path: Path) -> None:
    fill(path, 6000, NOW, words="z" * 300)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO destinations VALUES ('http://x/', 10, 10, NULL)")
    connection.close()
    writer = Clocks().writer(path, Limits(max_mb=1))
    (note,) = writer.tend()
    first = int(str(rows(path)[0]))
    assert note.kind == "lost" and f"{first - 11} events" in note.words
    assert rows(path)[-1] == 6000 and 1000 < len(rows(path)) < 3000
    for _ in range(3):
        assert writer.tend() == []
    writer.close()
    assert path.stat().st_size < 1_500_000


def test_rush_of_events_does_not_outgrow_the_limit(path: Path) -> None:
    log = EventLog(path, LABELS, limits=Limits(max_mb=1), synchronous="normal")
    for number in range(0, 12_000, 1000):
        log.add(event(number + k, words="z" * 200) for k in range(1000))
        log.flush()
    log.close()
    assert rows(path, "track")[-1] == 11_999
    assert path.stat().st_size < 4_000_000  # of some 6 MB


def test_age_waits_for_what_has_not_been_shipped(path: Path) -> None:
    fill(path, 2000, NOW - 100 * DAY)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO destinations VALUES ('http://x/', 300, 300, NULL)")
    connection.close()
    writer = Clocks().writer(path, Limits(keep_days=30))
    assert writer.tend() == []
    assert rows(path)[0] == 301
    writer.close()


def test_ids_are_never_given_again(path: Path) -> None:
    fill(path, 10)
    connection, _ = database.open_log(path, "normal")
    assert store.remove_share(connection, 1.0) == (10, 0)
    connection.close()
    fill(path, 1)
    assert rows(path) == [11]


def test_event_that_comes_again_is_written_once(path: Path) -> None:
    connection, _ = database.open_log(path, "normal")
    batch = [(Keys().make(), Event("state", 1.0, "running"))]
    assert store.append(connection, batch) == 1
    store.append(connection, batch)
    connection.close()
    assert len(rows(path)) == 1
