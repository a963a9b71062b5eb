"""Whom a device believes, and how new a manifest has to be: kept in its store.

A key gets in only where somebody says so (`--key`). Of each key the highest serial that was ever
seen is remembered, as The Update Framework does: whoever can write to the source can then not offer
an older, vulnerable publication as if it were the newest.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field

from edgesmith import files
from edgesmith.deliver import keys, manifest
from edgesmith.deliver.errors import KeyFileError, ManifestError, StoreError
from edgesmith.deliver.manifest import Manifest
from edgesmith.deliver.store import Store

_KEYS, _SUFFIX, _ACCEPTED = "keys", ".pub", "accepted.json"


class Accepted(BaseModel):
    """By key identity: the newest serial seen, and the newest that was rolled back from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seen: dict[str, int] = Field(default_factory=dict)
    rejected: dict[str, int] = Field(default_factory=dict)


def trusted(store: Store) -> dict[str, Ed25519PublicKey]:
    """The keys in the store by identity; KeyFileError for a file that is none."""
    found = {}
    for path in sorted((store.root / _KEYS).glob(f"*{_SUFFIX}")):
        try:
            key = keys.parse(path.read_text())
        except (KeyFileError, OSError, UnicodeDecodeError) as fault:
            raise KeyFileError(f"{path}: {fault}; remove it and give the key again") from fault
        found[keys.identity(key)] = key
    return found


def given(text: str) -> dict[str, Ed25519PublicKey]:
    """The key in a line of text, or in a file with that line, by its identity."""
    line = text
    if not text.startswith(keys.PREFIX):
        try:
            line = Path(text).read_text()
        except (OSError, UnicodeDecodeError) as fault:
            raise KeyFileError(
                f"--key {text[:60]}: neither a line that begins with {keys.PREFIX} nor a file with "
                f"one ({fault.__class__.__name__}); `edgesmith publish` prints it"
            ) from fault
    key = keys.parse(line)
    return {keys.identity(key): key}


def remember(store: Store, key: Ed25519PublicKey) -> None:
    """Trust a key from now on; removing its file in keys/ ends that."""
    path = store.root / _KEYS / f"{keys.identity(key)}{_SUFFIX}"
    if not path.exists():
        files.write_text(path, keys.public_text(key) + "\n")


def accept(store: Store, offered: Manifest, key_id: str, origin: str, allow_older: bool) -> None:
    """Remember that a manifest was seen; ManifestError if it is expired, older or rejected."""
    known = _read(store)
    seen, rejected = known.seen.get(key_id, 0), known.rejected.get(key_id, 0)
    if not allow_older:
        manifest.require_fresh(offered, origin)
        if offered.serial < seen:
            raise ManifestError(
                f"{origin}: serial {offered.serial} of {offered.created:%Y-%m-%d %H:%M}, and this "
                f"device has seen serial {seen} of the same key: an old manifest was put back "
                "there, or the source is a stale copy; publish again, or take it with --allow-older"
            )
    if offered.serial > seen:
        newest = {**known.seen, key_id: offered.serial}
        _write(store, Accepted(seen=newest, rejected=known.rejected))
    if offered.serial <= rejected and not allow_older:
        raise ManifestError(
            f"{origin}: serial {offered.serial} was rolled back from on this device; publish a "
            "newer one, or take it again with --allow-older"
        )


def reject(store: Store, key_id: str, serial: int) -> None:
    """Remember that a manifest was rolled back from, so that the next pull does not undo it."""
    known = _read(store)
    worst = max(serial, known.rejected.get(key_id, 0))
    _write(store, Accepted(seen=known.seen, rejected={**known.rejected, key_id: worst}))


def _read(store: Store) -> Accepted:
    path = store.root / _ACCEPTED
    if not path.exists():
        return Accepted()
    return files.read_record(
        path,
        Accepted,
        StoreError,
        missing="run as the store's owner",
        damaged="remove it if you know that the source is what it should be",
    )


def _write(store: Store, value: Accepted) -> None:
    files.write_json(store.root / _ACCEPTED, value.model_dump(mode="json"))
