"""Where a device keeps artifacts: objects by content, releases of them, and which is active.

    objects/sha256/ab/cdef…     every content once, read-only
    partial/                    what a broken transfer goes on with
    releases/000007/<variant>/  an artifact's folder, hard links to objects; release.json beside it
    current                     symbolic link to the folder of the active release's default variant
    keys/, accepted.json        whom the device trusts, and the newest manifest that it has seen

A release appears whole by one rename and becomes active by another, of `current`; a process that is
killed in between leaves only what the next one cleans away or goes on with.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.deliver import release as releases
from edgesmith.deliver.errors import StoreError
from edgesmith.deliver.release import Release

VARIABLE = "EDGESMITH_STORE"
_SYSTEM = Path("/var/lib/edgesmith")
_CURRENT, _LOCK, _NEW, _OLD = "current", "lock", ".new", ".old-"
_READ_ONLY = 0o444


def default_root() -> Path:
    """EDGESMITH_STORE, else /var/lib/edgesmith for root, else the user's data folder."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if os.geteuid() == 0:
        return _SYSTEM
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "edgesmith"


class Store:
    """A folder as above; made with the first pull."""

    def __init__(self, root: Path | None = None) -> None:
        """The store in `root`, by default in `default_root()`."""
        self.root = (root or default_root()).absolute()
        self.partial = self.root / "partial"

    def current(self, variant: str | None = None) -> Path:
        """Folder of the active artifact, or of the active one of a variant.

        The folder itself and not the link: it stays what it is while another release becomes
        active, for as long as the store keeps it. StoreError where nothing is active.
        """
        folder = self._active_folder()
        if folder is None:
            raise StoreError(f"{self.root}: nothing is active; `edgesmith pull SOURCE` first")
        if variant is None:
            return folder
        if not (folder.parent / variant / contracts.FILE).is_file():
            known = sorted(path.parent.name for path in folder.parent.glob(f"*/{contracts.FILE}"))
            raise StoreError(
                f"{self.root}: the active release has no {variant!r}, it has {', '.join(known)}; "
                "`edgesmith pull SOURCE --variant` adds one"
            )
        return folder.parent / variant

    def active(self) -> Release | None:
        """The release that `current` leads to."""
        folder = self._active_folder()
        return None if folder is None else releases.read(folder.parent)

    def kept(self) -> list[Release]:
        """All releases, the oldest first; damaged ones are left out."""
        found = []
        for folder in sorted(self._releases.glob("[0-9]*")):
            with contextlib.suppress(StoreError):
                found.append(releases.read(folder))
        return found

    def folder(self, release: Release, variant: str) -> Path:
        """Where a release keeps a variant."""
        return self._releases / f"{release.number:06d}" / variant

    def object(self, sha256: str) -> Path:
        """Where a content is, or would be."""
        return self.root / "objects/sha256" / sha256[:2] / sha256[2:]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store alone and clean up what a killed process left; StoreError if it is held.

        The kernel gives the lock back when its holder ends, however it ends.
        """
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
            self._releases.mkdir(exist_ok=True)
            stream = (self.root / _LOCK).open("a+")
        except OSError as fault:
            raise StoreError(
                f"{self.root}: cannot be written ({fault.strerror}); name another place with "
                f"--store or {VARIABLE}, or run as its owner"
            ) from fault
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as fault:
                stream.seek(0)
                raise StoreError(
                    f"{self.root}: in use by process {stream.read().strip() or 'unknown'}; wait "
                    "until it has ended"
                ) from fault
            stream.truncate(0)
            stream.write(f"{os.getpid()}\n")
            stream.flush()
            self._clean()
            yield

    def begin(self) -> Path:
        """An empty folder in which the next release is put together."""
        folder = self._releases / _NEW
        folder.mkdir()
        return folder

    def place(self, sha256: str, target: Path) -> None:
        """Have `target` be an object's content: a hard link, or a copy where there are none."""
        target.parent.mkdir(exist_ok=True)
        try:
            target.hardlink_to(self.object(sha256))
        except OSError:  # FAT, some network and overlay file systems
            shutil.copyfile(self.object(sha256), target)
            target.chmod(_READ_ONLY)

    def commit(self, release: Release) -> None:
        """Make the folder of `begin` the release; it is not active yet."""
        folder = self._releases / _NEW
        files.write_json(folder / releases.FILE, release.model_dump(mode="json"))
        for made in (folder, *(path for path in folder.iterdir() if path.is_dir())):
            made.chmod(0o755)
            sync(made)
        folder.rename(self._releases / f"{release.number:06d}")
        sync(self._releases)

    def next_number(self) -> int:
        """Of a release that is newer than all there are."""
        return 1 + max((release.number for release in self.kept()), default=0)

    def activate(self, release: Release) -> None:
        """Have `current` lead to a release, by one rename, after all its files were checked."""
        for variant in release.artifacts:
            contracts.verify(self.folder(release, variant))
        link = self.root / f".{_CURRENT}.new"
        link.unlink(missing_ok=True)
        target = self.folder(release, release.default).relative_to(self.root)
        try:
            link.symlink_to(target)
        except OSError as fault:
            raise StoreError(
                f"{self.root}: no symbolic links here ({fault.strerror}); keep the store on "
                "ext4, btrfs, f2fs or another file system that has them"
            ) from fault
        link.replace(self.root / _CURRENT)
        sync(self.root)

    def drop_after(self, number: int) -> None:
        """Forget releases newer than this one: rolled back from, or never activated."""
        for release in self.kept():
            if release.number > number:
                self._remove(release)

    def collect(self, keep: int) -> int:
        """Forget all but the newest `keep` releases and the active one; bytes freed.

        Objects that no kept release needs go too, and what was left of their transfers.
        """
        active = self.active()
        kept = self.kept()
        gone = [release for release in kept[: max(0, len(kept) - keep)] if release != active]
        for release in gone:
            self._remove(release)
        needed = {name for release in kept if release not in gone for name in release.hashes}
        freed = 0
        for path in (self.root / "objects/sha256").glob("*/*"):
            if path.parent.name + path.name not in needed:
                freed += path.stat().st_size
                path.unlink()
        for path in self.partial.iterdir():
            path.unlink()
        return freed

    def has_links(self) -> bool:
        """Whether `place` costs no space."""
        probe = self.partial / "probe"
        link = self.partial / "probe.link"
        for path in (probe, link):
            path.unlink(missing_ok=True)
        probe.touch()
        try:
            link.hardlink_to(probe)
        except OSError:
            return False
        finally:
            for path in (probe, link):
                path.unlink(missing_ok=True)
        return True

    def free_bytes(self) -> int:
        """What a user like this one may still write where the store is."""
        return shutil.disk_usage(self.root).free

    def _remove(self, release: Release) -> None:
        """By a rename first: what is half removed must not look like a release."""
        folder = self._releases / f"{release.number:06d}"
        shutil.rmtree(folder.rename(self._releases / f"{_OLD}{release.number}"))

    @property
    def _releases(self) -> Path:
        return self.root / "releases"

    def _active_folder(self) -> Path | None:
        link = self.root / _CURRENT
        if not link.is_symlink():
            return None
        folder = link.resolve()
        if folder.parent.parent != self._releases.resolve() or not folder.is_dir():
            raise StoreError(
                f"{link}: leads to {folder}, which is no release of this store; remove the link "
                "and pull again"
            )
        return folder

    def _clean(self) -> None:
        shutil.rmtree(self._releases / _NEW, ignore_errors=True)
        for folder in self._releases.glob(f"{_OLD}*"):
            shutil.rmtree(folder, ignore_errors=True)
        for path in (*self.root.glob(".*.tmp"), *self.root.glob("keys/.*.tmp")):
            path.unlink()


def sync(folder: Path) -> None:
    """Have a folder's names on the disk before what depends on them."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
