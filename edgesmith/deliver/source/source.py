"""What every source can do, and which source an address names."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import urlsplit

from edgesmith.deliver.errors import SourceError
from edgesmith.errors import RuntimeUnavailableError

# By scheme: the module of this package, and the extra of pyproject.toml that it needs.
_KINDS = {
    "": ("folder", ""),
    "file": ("folder", ""),
    "http": ("http", "deliver"),
    "https": ("http", "deliver"),
    "ssh": ("ssh", ""),
    "sftp": ("ssh", ""),
    "s3": ("s3", "deliver-s3"),
}

# Called with the number of bytes that are in the part file now.
Moved = Callable[[int], None]


class Source(Protocol):
    """A DVC remote, or a copy of one, that holds a manifest."""

    def fetch(self, place: str, part: Path, limit_bytes: int, moved: Moved) -> None:
        """Bring the object at `place` into the file `part`, going on after what is there.

        A source that cannot go on starts over. Never writes beyond `limit_bytes`, and raises
        SourceError if the object is longer; MissingError if there is none; TransferError when
        the transfer broke, with what came until then in `part`.
        """
        ...

    def close(self) -> None:
        """Give back connections."""
        ...

    def __str__(self) -> str:
        """The address, without secrets."""
        ...


def open_source(address: str) -> Source:
    """The source that an address names: a folder, http(s)://, ssh:// or s3://bucket/prefix."""
    scheme = urlsplit(address).scheme.lower() if "://" in address else ""
    if scheme not in _KINDS:
        raise SourceError(
            f"{address}: cannot fetch from {scheme}://; name a folder, or an address that begins "
            "with http://, https://, ssh:// or s3://"
        )
    module, extra = _KINDS[scheme]
    try:
        kind = import_module(f"edgesmith.deliver.source.{module}")
    except ModuleNotFoundError as fault:
        raise RuntimeUnavailableError(
            f"{scheme}:// needs the Python package {fault.name!r}, which is not installed here; "
            f"pip install edgesmith[{extra}]"
        ) from fault
    return cast(Source, kind.open_source(address))


def too_long(origin: str, place: str, limit_bytes: int) -> SourceError:
    """What to raise for an object that is longer than it may be."""
    return SourceError(
        f"{origin}/{place}: longer than the {limit_bytes:,} bytes that it may have; it is not what "
        "was published: run `edgesmith publish` again, or `dvc push`"
    )
