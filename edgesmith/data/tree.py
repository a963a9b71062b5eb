"""Reading a directory or a tar as one tree of files; nothing is extracted to disk."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from edgesmith.errors import DataError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
)

Parts = tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A file of a tree: the parts of its path, how to name it to a user, and how to read it."""

    parts: Parts
    where: str
    load: Callable[[], bytes]

    @property
    def is_image(self) -> bool:
        """Whether the name says that this is an image."""
        return PurePosixPath(self.parts[-1]).suffix.lower() in IMAGE_SUFFIXES


@dataclass(frozen=True)
class Tree:
    """All files and folders below a root, sorted; a single folder around them all is left out."""

    files: list[File]
    folders: list[Parts]


def read_tree(path: Path) -> Tree:
    """The tree of a directory or of a tar (plain, .gz, .bz2 or .xz; read once, kept in memory).

    Hidden files and folders are left out. DataError when `path` is missing or a damaged archive.
    """
    if path.is_dir():
        tree = _directory(path)
    elif path.is_file():
        tree = _archive(path)
    else:
        raise DataError(
            f"{path}: no such folder or tar; correct `path` in params.yaml or put the data there"
        )
    return _without_common_root(tree)


def _directory(path: Path) -> Tree:
    files, folders = [], []
    for entry in sorted(path.rglob("*")):
        parts = entry.relative_to(path).parts
        if any(part.startswith(".") for part in parts):
            continue
        if entry.is_dir():
            folders.append(parts)
        else:
            files.append(File(parts, str(entry), partial(_read, entry)))
    return Tree(files, folders)


def _archive(path: Path) -> Tree:
    files: list[File] = []
    folders: set[Parts] = set()
    try:
        # A stream ("|"): compressed archives are decompressed once, front to back.
        with tarfile.open(path, "r|*") as tar:
            for member in tqdm(tar, desc=f"reading {path.name}", unit=" files", disable=None):
                parts = tuple(p for p in PurePosixPath(member.name).parts if p not in (".", "/"))
                if not parts or any(part.startswith(".") for part in parts):
                    continue
                folders.update(parts[:depth] for depth in range(1, len(parts)))
                if member.isdir():
                    folders.add(parts)
                elif member.isfile() and (stream := tar.extractfile(member)) is not None:
                    files.append(
                        File(parts, f"{path}: {member.name}", partial(bytes, stream.read()))
                    )
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise DataError(
            f"{path}: not a readable tar, or cut short ({error}); fetch the file again"
        ) from error
    return Tree(sorted(files, key=lambda file: file.parts), sorted(folders))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); mend or remove it") from error


def _without_common_root(tree: Tree) -> Tree:
    """Drop the first part of every path where all share it and only folders lie beneath."""
    roots = {folder[0] for folder in tree.folders}
    below = {folder[1] for folder in tree.folders if len(folder) > 1}
    if len(roots) != 1 or not below or any(len(file.parts) == 1 for file in tree.files):
        return tree
    files = [File(file.parts[1:], file.where, file.load) for file in tree.files]
    return Tree(files, [folder[1:] for folder in tree.folders if len(folder) > 1])
