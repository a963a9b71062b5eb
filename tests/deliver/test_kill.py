"""A pull that is killed leaves a store that the next pull brings to the same end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgesmith import contract as contracts
from edgesmith.deliver.errors import StoreError
from edgesmith.deliver.selftest import environment
from edgesmith.deliver.store import Store
from tests.deliver.conftest import WEIGHT, Pull
from tests.deliver.publisher import Publisher, make
from tests.deliver.server import Web

# Kills itself before the KILL_AT-th change of a name in the store; says how many there were.
KILLED = """
import os, signal, sys
at, count = int(os.environ["KILL_AT"]), 0
def hook(event, arguments):
    global count
    if event in {"os.rename", "os.symlink", "os.link", "os.mkdir", "os.remove", "os.rmdir"} \
            and "store" in str(arguments[0]) + str(arguments[1]):
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
from edgesmith.deliver import selftest
selftest.test = lambda *_: selftest.Tested(200.0, 1.0, 1.0, "not run")
from edgesmith.cli import app
try:
    app()
finally:
    print("changes", count)
"""


def _command(remote: object, store: Store, key: str) -> list[str]:
    return ["pull", str(remote), "--store", str(store.root), "--key", key, "--device", "host"]


def _state(store: Store) -> tuple[set[str], set[str], dict[str, str]]:
    """What matters: object names, releases' files, and where `current` leads."""
    objects = {path.parent.name + path.name for path in store.root.glob("objects/sha256/*/*")}
    names = {
        path.relative_to(store.root).as_posix()
        for path in store.root.rglob("*")
        if path.is_file() and "objects" not in path.parts
    }
    hashes = {name: part.sha256 for name, part in contracts.verify(store.current()).files.items()}
    return objects, names, hashes


def test_transfer_that_is_killed_goes_on_where_it_was(
    published: Publisher, web: Web, store: Store, pull_: Pull
) -> None:
    web.pause_s = 0.2
    command = _command(web.address, store, published.public)
    process = subprocess.Popen(
        [sys.executable, "-m", "edgesmith", *command], env=environment(), stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 60
    while not any(p.stat().st_size > 100_000 for p in store.partial.glob("[0-9a-f]*[0-9a-f]")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    web.pause_s = 0
    done = pull_(web.address)
    assert done.changed and done.resumed_bytes > 100_000
    assert done.resumed_bytes + done.received_bytes < WEIGHT + 10_000


def _run(at: int, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLED, *command],
        env={**environment(), "KILL_AT": str(at)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_pull_killed_before_any_change_of_a_name_ends_the_same_when_run_again(
    publisher: Publisher, tmp_path: Path
) -> None:
    first = publisher.artifact(make(tmp_path / "1", seed=1))
    second = publisher.artifact(make(tmp_path / "2", seed=2))
    clean = Store(tmp_path / "clean-store")
    publisher.publish(first)
    assert _run(0, _command(publisher.remote, clean, publisher.public)).returncode == 0
    old = Store(tmp_path / "old-store")
    subprocess.run(["cp", "-a", clean.root, old.root], check=True)
    before = contracts.verify(clean.current()).files
    publisher.publish(second)
    whole = _run(0, [*_command(publisher.remote, clean, publisher.public), "--keep", "1"])
    assert whole.returncode == 0, whole.stderr
    count = int(whole.stdout.split()[-1])
    expected = _state(clean)
    assert count > 20
    for at in range(1, count + 1, max(1, count // 20)):
        store = Store(tmp_path / f"{at}-store")
        subprocess.run(["cp", "-a", old.root, store.root], check=True)
        command = [*_command(publisher.remote, store, publisher.public), "--keep", "1"]
        assert _run(at, command).returncode == -signal.SIGKILL
        active = contracts.verify(store.current()).files  # whole, whichever it is
        assert active in (before, contracts.verify(clean.current()).files)
        done = _run(0, command)
        assert done.returncode == 0, done.stderr
        assert _state(store) == expected, f"killed before change {at} of {count}"


def test_lock_of_a_killed_process_is_free(store: Store) -> None:
    script = (
        "import sys, time; from pathlib import Path; from edgesmith.deliver.store import Store\n"
        "with Store(Path(sys.argv[1])).lock(): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, store.root], env=environment(), stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    with pytest.raises(StoreError, match=f"in use by process {process.pid}"), store.lock():
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with store.lock():
        pass
