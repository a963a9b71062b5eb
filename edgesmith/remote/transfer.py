"""Sending files by their content: what is there is not sent, what was begun is gone on with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from edgesmith import files
from edgesmith.remote.device import Remote
from edgesmith.remote.errors import RemoteError

_ATTEMPTS = 3


class Item(NamedTuple):
    """A file of this host and what its content is known by."""

    file: Path
    sha256: str
    size_bytes: int

    @classmethod
    def of(cls, file: Path) -> Item:
        """An item of a file whose hash is not known yet."""
        return cls(file, files.sha256(file), file.stat().st_size)


# Called with a file and how many of its bytes are there: when its turn comes, then as they go out.
Progress = Callable[[Item, int], None]


def missing_bytes(items: list[Item], have: dict[str, int]) -> int:
    """How much of the items is still to be sent, each content once."""
    unique = {item.sha256: item.size_bytes for item in items}
    return sum(max(0, size - have.get(sha256, 0)) for sha256, size in unique.items())


def send(remote: Remote, folder: str, items: list[Item], progress: Progress) -> None:
    """Bring all items into `folder`/objects of the device and have it verify their hashes.

    After a loss of the connection the device is asked what arrived, and only the rest is sent.
    Raises RemoteError when a file arrives damaged again and again, or the device cannot store it.
    """
    unique = {item.sha256: item for item in items}
    for _ in range(_ATTEMPTS):
        remote.repeat(partial(_send_rest, remote, folder, unique, progress))
        damaged = remote.ask("check", folder=folder, hashes=list(unique), timeout_s=600)["damaged"]
        if not damaged:
            return
        unique = {sha256: unique[sha256] for sha256 in damaged}
    names = ", ".join(item.file.name for item in unique.values())
    raise RemoteError(
        f"{remote.target}: {names} arrived damaged {_ATTEMPTS} times; check the device's disk and "
        "whether the files change here meanwhile"
    )


def _send_rest(remote: Remote, folder: str, items: dict[str, Item], progress: Progress) -> None:
    have = remote.ask_once("have", folder=folder)["have"]
    for sha256, item in items.items():
        # More than the file holds: damaged, which the check finds.
        position = min(have.get(sha256, 0), item.size_bytes)
        progress(item, position)
        if position == item.size_bytes and sha256 in have:
            continue

        def sent(count: int, item: Item = item) -> None:
            nonlocal position
            position += count
            progress(item, position)

        part = f"{folder}/objects/{sha256}.part"
        remote.put(item.file, part, position, sent)
