"""Bringing objects into the store: gone on with after a break, checked, and tried twice if damaged.

A transfer is tried again as long as it makes progress; without any, `attempts` times, each time
after a longer pause.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    wait_exponential,
    wait_random,
)

from edgesmith import files
from edgesmith.deliver.errors import ObjectError, SpaceError, StoreError, TransferError
from edgesmith.deliver.manifest import MAX_BYTES, PATH, Object
from edgesmith.deliver.progress import Meter
from edgesmith.deliver.source.source import Source
from edgesmith.deliver.store import Store, sync

ATTEMPTS = 6
_FIRST_SECONDS, _MOST_SECONDS = 0.25, 20
_READ_ONLY = 0o444
# What the file system rounds up, folders, records.
_SLACK_BYTES = 1 << 20


def manifest(store: Store, source: Source, attempts: int = ATTEMPTS) -> bytes:
    """The signed manifest as it is at the source now."""
    part = store.partial / "manifest"

    def bring() -> None:
        part.unlink(missing_ok=True)  # it may be another one by now
        source.fetch(PATH, part, MAX_BYTES, lambda _: None)

    with _disk(store):
        _patiently(bring, part, attempts)
        return part.read_bytes()


def missing(store: Store, objects: Sequence[Object]) -> list[Object]:
    """Those that the store does not hold intact, each content once; damaged ones are dropped."""
    found = {}
    for part in objects:
        path = store.object(part.sha256)
        if path.exists() and not _is(path, part):
            path.unlink()
        if not path.exists():
            found[part.sha256] = part
    return list(found.values())


def require_space(store: Store, objects: Sequence[Object], placed_bytes: int) -> None:
    """SpaceError unless what is still to come fits the disk.

    `placed_bytes` is what the release's folders hold: nothing more where they are hard links.
    """
    have = sum(
        min(path.stat().st_size, part.size_bytes)
        for part in objects
        if (path := _part(store, part)).exists()
    )
    needed = sum(part.size_bytes for part in objects) - have + _SLACK_BYTES
    with _disk(store):
        needed += 0 if store.has_links() else placed_bytes
    free = store.free_bytes()
    if needed > free:
        raise SpaceError(
            f"{store.root}: {needed / 1e6:.1f} MB are needed and {free / 1e6:.1f} MB are free; "
            "free some, keep fewer releases (--keep), ask for one --variant, or name another "
            "place with --store"
        )


def fetch(
    store: Store, source: Source, objects: Sequence[Object], meter: Meter, attempts: int = ATTEMPTS
) -> None:
    """Bring objects into the store, each checked by size and SHA-256 before it is there.

    ObjectError for one that arrives damaged, and once more when fetched anew.
    """
    for wanted in objects:
        with _disk(store):
            _fetch_one(store, source, wanted, meter, attempts)


def _fetch_one(store: Store, source: Source, wanted: Object, meter: Meter, attempts: int) -> None:
    part = _part(store, wanted)
    for _ in range(2):
        meter.begin(wanted, part.stat().st_size if part.exists() else 0)
        _patiently(lambda: _bring(source, wanted, part, meter), part, attempts)
        if _is(part, wanted):
            _keep(part, store.object(wanted.sha256))
            return
        part.unlink()
    raise ObjectError(
        f"{source}/{wanted.place}: twice not the content that was published (SHA-256 "
        f"{wanted.sha256[:12]}…); the remote is damaged, or somebody changed it: `dvc push` it "
        "again from an intact checkout, and publish"
    )


def _bring(source: Source, wanted: Object, part: Path, meter: Meter) -> None:
    size = part.stat().st_size if part.exists() else -1
    if size > wanted.size_bytes:
        part.unlink()
    elif size == wanted.size_bytes:
        return
    source.fetch(wanted.place, part, wanted.size_bytes, meter.at)
    now = part.stat().st_size if part.exists() else 0
    if size < now < wanted.size_bytes:
        # A server without Content-Length cannot say that it was cut off.
        raise TransferError(f"{source}/{wanted.place}: ended after {now} bytes")


def _keep(part: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part.chmod(_READ_ONLY)
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(target)
    sync(target.parent)


def _patiently(bring: Callable[[], None], part: Path, attempts: int) -> None:
    most, idle = -1, 0

    def is_hopeless(_: RetryCallState) -> bool:
        nonlocal most, idle
        size = part.stat().st_size if part.exists() else 0
        most, idle = (size, 1) if size > most else (most, idle + 1)
        return idle >= attempts

    Retrying(
        retry=retry_if_exception_type(TransferError),
        wait=wait_exponential(_FIRST_SECONDS, _MOST_SECONDS) + wait_random(0, _FIRST_SECONDS),
        stop=is_hopeless,
        reraise=True,
    )(bring)


@contextmanager
def _disk(store: Store) -> Iterator[None]:
    """What the disk refuses, in words."""
    try:
        yield
    except OSError as fault:
        if fault.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise SpaceError(
                f"{store.root}: the disk became full ({store.free_bytes() / 1e6:.1f} MB are free); "
                "free some and pull again: it goes on where it stopped"
            ) from fault
        raise StoreError(
            f"{fault.filename or store.root}: {fault.strerror}; check the disk (dmesg), or name "
            "another place with --store"
        ) from fault


def _part(store: Store, wanted: Object) -> Path:
    return store.partial / wanted.sha256


def _is(path: Path, wanted: Object) -> bool:
    return (
        path.exists()
        and path.stat().st_size == wanted.size_bytes
        and files.sha256(path) == wanted.sha256
    )
