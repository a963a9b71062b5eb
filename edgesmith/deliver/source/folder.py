"""A folder: a local DVC remote, a mounted share, a memory stick."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from edgesmith.deliver.errors import MissingError, SourceError, TransferError
from edgesmith.deliver.source.source import Moved, too_long

_PIECE = 1 << 20


class Folder:
    """Reads files below a folder."""

    def __init__(self, root: Path) -> None:
        """SourceError where there is no such folder."""
        if not root.is_dir():
            raise SourceError(
                f"{root}: no such folder; name the DVC remote that `edgesmith publish` wrote to, "
                "or an address such as https://host/path"
            )
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def fetch(self, place: str, part: Path, limit_bytes: int, moved: Moved) -> None:
        """As `Source.fetch` says."""
        try:
            with (self._root / place).open("rb") as stream:
                self._copy(stream.fileno(), place, part, limit_bytes, moved)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as fault:
            raise MissingError(f"{self}/{place}: not there") from fault
        except PermissionError as fault:
            raise SourceError(
                f"{self}/{place}: {fault.strerror}; chmod +r, or run as its owner"
            ) from fault

    def _copy(
        self, descriptor: int, place: str, part: Path, limit_bytes: int, moved: Moved
    ) -> None:
        with open(descriptor, "rb", closefd=False) as stream, part.open("ab") as target:
            stream.seek(target.tell())
            while True:
                try:
                    piece = stream.read(_PIECE)
                except OSError as fault:  # a stick that was pulled, a share that went away
                    raise TransferError(f"{self}/{place}: {fault.strerror}") from fault
                if not piece:
                    return
                if target.tell() + len(piece) > limit_bytes:
                    raise too_long(str(self), place, limit_bytes)
                target.write(piece)
                moved(target.tell())

    def close(self) -> None:
        """Nothing is held."""


def open_source(address: str) -> Folder:
    """The folder of a path or a file:// address."""
    if address.lower().startswith("file://"):
        return Folder(Path(unquote(urlsplit(address).path)))
    return Folder(Path(address).expanduser())
