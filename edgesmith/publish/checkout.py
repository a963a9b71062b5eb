"""What DVC knows of a checkout's artifacts: what they hold, whether that is current, and where.

The only module of this package that imports dvc.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from dvc.exceptions import DvcException
from dvc.repo import Repo

from edgesmith.deliver.errors import PublishError

_PATH = re.compile(r"artifacts/([^/]+)/([^/]+)")
_LOCAL = "local"


class Stored(NamedTuple):
    """One file as DVC keeps it: name in the artifact's folder, MD5, its copy in the cache."""

    name: str
    md5: str
    cached: Path

    @property
    def place(self) -> str:
        """Its path below the root of a remote."""
        return f"files/md5/{self.md5[:2]}/{self.md5[2:]}"


class Tracked(NamedTuple):
    """An artifact that a stage of the checkout makes."""

    variant: str
    format: str
    stage: str
    files: tuple[Stored, ...]


class Remote:
    """A DVC remote, or the checkout's own cache, which has the same layout."""

    def __init__(self, odb: Any, name: str) -> None:
        """A remote as DVC opens it."""
        self._odb, self.name = odb, name

    @property
    def folder(self) -> Path | None:
        """Its root, where that is a folder of this machine."""
        if self._odb.fs.protocol != _LOCAL:
            return None
        return Path(self._odb.path).parents[1]

    def lacks(self, md5s: list[str]) -> set[str]:
        """Those that it does not hold."""
        try:
            return set(md5s) - set(self._odb.oids_exist(md5s))
        except (DvcException, OSError) as fault:
            raise PublishError(f"remote {self.name!r}: cannot be asked ({fault})") from fault


class Checkout:
    """A DVC checkout; made by `open_checkout`."""

    def __init__(self, repo: Any) -> None:
        """A checkout that DVC has opened."""
        self._repo = repo

    @property
    def revision(self) -> str:
        """The commit, with `-dirty` where tracked files differ from it; empty without git."""
        scm = self._repo.scm
        try:
            return str(scm.get_rev()) + ("-dirty" if scm.is_dirty() else "")
        except (AttributeError, DvcException, NotImplementedError):
            return ""

    def remote(self, name: str | None) -> Remote:
        """A remote by its name, or the default one; PublishError where there is none."""
        try:
            odb = self._repo.cloud.get_remote_odb(name, command="push")
        except (DvcException, ImportError) as fault:
            raise PublishError(
                f"{fault}; name one with --remote, or publish from the cache with --cache"
            ) from fault
        return Remote(odb, name or self._repo.config["core"].get("remote", ""))

    def cache(self) -> Remote:
        """The checkout's own cache as a remote."""
        return Remote(self._repo.cache.local, "the cache")

    def artifacts(self) -> list[Tracked]:
        """All artifacts that some stage makes and its lock file knows, by variant and format."""
        found = []
        for out in self._outs():
            variant, format_name = _names(self._relative(out))
            tree = self._tree(out)
            files = tuple(
                Stored("/".join(key), entry.value, Path(out.cache.oid_to_path(entry.value)))
                for key, _, entry in sorted(tree)
            )
            found.append(Tracked(variant, format_name, out.stage.addressing, files))
        return sorted(found)

    def stale(self, artifacts: Sequence[Tracked]) -> dict[str, list[str]]:
        """What differs from the lock file, as `dvc status` says it, by stage that made an artifact.

        Inputs that are not in the checkout are not judged: a publisher may have pulled the
        artifacts alone.
        """
        stages = sorted({artifact.stage for artifact in artifacts})
        try:
            status = self._repo.status(targets=stages)
        except DvcException as fault:
            raise PublishError(f"`dvc status` fails: {fault}") from fault
        found = {stage: list(_changes(entries)) for stage, entries in status.items()}
        return {stage: changes for stage, changes in found.items() if changes}

    def _outs(self) -> Iterator[Any]:
        for out in self._repo.index.outs:
            if _PATH.fullmatch(self._relative(out)) and out.hash_info:
                yield out

    def _relative(self, out: Any) -> str:
        path = Path(out.fs_path)
        root = Path(self._repo.root_dir)
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else ""

    def _tree(self, out: Any) -> Any:
        """The folder's listing; from the cache, else from the remote."""
        name = self._relative(out)
        if not out.hash_info.isdir:
            raise PublishError(f"{name}: DVC keeps a file and no folder there; dvc repro")
        try:
            tree = out.get_obj()
        except (DvcException, OSError) as fault:
            raise PublishError(f"{name}: {fault}; dvc pull {name}") from fault
        if tree is None:
            raise PublishError(f"{name}: not in the cache; dvc pull {name}")
        return tree


_UNJUDGED = ("deleted", "not in cache")


def _changes(entries: Iterable[Any]) -> Iterator[str]:
    """Of one stage in `dvc status`: {"changed deps": {path: what}}, parameters a level deeper."""
    for entry in entries:
        if not isinstance(entry, dict):
            yield str(entry)  # "changed command", "always changed"
            continue
        for paths in entry.values():
            for path, what in paths.items() if isinstance(paths, dict) else ():
                keys = what.items() if isinstance(what, dict) else [("", what)]
                yield from (
                    f"{path} {key} ({kind})".replace("  ", " ")
                    for key, kind in keys
                    if kind not in _UNJUDGED
                )


def _names(path: str) -> tuple[str, str]:
    match = _PATH.fullmatch(path)
    if match is None:
        raise PublishError(f"{path}: not artifacts/<variant>/<format>")
    return match[1], match[2]


@contextmanager
def open_checkout(folder: Path) -> Iterator[Checkout]:
    """The DVC checkout in a folder; PublishError where there is none."""
    try:
        repo = Repo(str(folder))
    except DvcException as fault:
        raise PublishError(f"{folder}: not a DVC checkout ({fault})") from fault
    with repo:
        yield Checkout(repo)
