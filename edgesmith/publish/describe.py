"""An artifact as the manifest lists it, after every byte to be served was read and checked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from edgesmith import contract as contracts
from edgesmith.contract import Contract
from edgesmith.deliver.errors import PublishError
from edgesmith.deliver.manifest import File
from edgesmith.errors import ContractError
from edgesmith.publish.checkout import Remote, Stored, Tracked

_PIECE = 1 << 20


class Described(NamedTuple):
    """An artifact, its contract, its files, and a folder of them that can be run."""

    tracked: Tracked
    contract: Contract
    files: tuple[File, ...]
    folder: Path

    @property
    def name(self) -> str:
        """Its path in the checkout."""
        return f"artifacts/{self.tracked.variant}/{self.tracked.format}"


def describe(tracked: Tracked, remote: Remote, folder: Path) -> Described:
    """Check all files of an artifact as the remote has them and link them into `folder`.

    Of a remote that is no folder of this machine, the cache's copies are read: DVC names both by
    the same MD5. PublishError for a content that does not match its name, ContractError for an
    artifact that does not match its contract.
    """
    folder.mkdir(parents=True)
    found = []
    for stored in tracked.files:
        path = _readable(stored, tracked, remote)
        md5, sha256 = _hashes(path)
        if md5 != stored.md5:
            raise PublishError(
                f"{path}: its MD5 is {md5}, and dvc.lock says {stored.md5} for {stored.name} of "
                f"{tracked.variant}/{tracked.format}: it is damaged; remove it, then dvc repro "
                f"{tracked.stage} and dvc push"
            )
        size = path.stat().st_size
        found.append(File(name=stored.name, sha256=sha256, size_bytes=size, place=stored.place))
        (folder / stored.name).symlink_to(path.absolute())
    contract = contracts.verify(folder)
    if (contract.variant, contract.format) != (tracked.variant, tracked.format):
        raise ContractError(
            f"artifacts/{tracked.variant}/{tracked.format}: its contract is of "
            f"{contract.variant}/{contract.format}; dvc repro {tracked.stage}"
        )
    return Described(tracked, contract, tuple(found), folder)


def _readable(stored: Stored, tracked: Tracked, remote: Remote) -> Path:
    if remote.folder is not None:
        return remote.folder / stored.place
    if stored.cached.is_file():
        return stored.cached
    raise PublishError(
        f"artifacts/{tracked.variant}/{tracked.format}/{stored.name}: not in the cache, and "
        f"{remote.name!r} is no folder of this machine: its content cannot be hashed; dvc fetch "
        f"artifacts/{tracked.variant}/{tracked.format}"
    )


def _hashes(path: Path) -> tuple[str, str]:
    """MD5, by which DVC names contents, and SHA-256, which is signed."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            md5.update(piece)
            sha256.update(piece)
    return md5.hexdigest(), sha256.hexdigest()
