"""Images with boxes before they are split and stored, and what to do about faulty labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgesmith.errors import DataError

Centred = tuple[float, float, float, float]
"""Centre x, centre y, width and height, as shares of the image's width and height."""

# Faults and files that a message names before it counts the rest.
_FAULTS_SHOWN = 50
_FILES_SHOWN = 10
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class AnnotatedEntry:
    """One image of a source: the split it came in ("" when the source has no splits), its objects.

    `boxes` (n, 4) float64 as `Centred`, `classes` (n,) int64. `size` is the height and width that
    the labels were made for, where they say so. `where` names the image to a user, `load` gives its
    encoded bytes.
    """

    split: str
    name: str
    where: str
    load: Callable[[], bytes]
    boxes: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class AnnotatedSource:
    """A source before splitting: labels in order, every image, and what a user should know."""

    labels: list[str]
    entries: list[AnnotatedEntry]
    notes: list[str]


@dataclass(frozen=True)
class Found:
    """One object as a label file gives it; `slack` is how far over the border counts as rounding.

    In x and y, as shares of the image's width and height. `file` and `place` (a line, an element)
    name it to a user.
    """

    file: str
    place: str
    label: int
    box: Centred
    slack: tuple[float, float]


@dataclass
class Faults:
    """Faulty labels of a source, gathered so that one message names them all.

    With `drop` a faulty label is left out, and a box that reaches over the border is cut there.
    """

    drop: bool
    faults: list[tuple[str, str]] = field(default_factory=list)
    clipped: list[str] = field(default_factory=list)

    def add(self, file: str, what: str) -> None:
        """A label that cannot be used: its file, then its place there and what is wrong."""
        self.faults.append((file, what))

    def sound(
        self, found: Iterable[Found]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """The sound objects of one image: (n, 4) float64 boxes as `Centred`, (n,) int64 classes.

        Boxes reach over the border by rounding only, and are cut there. No object is there twice.
        """
        seen: set[tuple[int, Centred]] = set()
        boxes: list[Centred] = []
        classes: list[int] = []
        for one in found:
            if (one.label, one.box) in seen:
                self.add(one.file, f"{one.place}: the same object is there twice; remove one")
                continue
            seen.add((one.label, one.box))
            box = self._inside(one)
            if box is not None:
                boxes.append(box)
                classes.append(one.label)
        return np.array(boxes, np.float64).reshape(-1, 4), np.array(classes, np.int64)

    def settle(self, path: Path, key: str) -> list[str]:
        """What was done about the faults, as sentences; DataError naming them where not `drop`.

        `key` is the dataset's in params.yaml.
        """
        if self.faults and not self.drop:
            more = len(self.faults) - _FAULTS_SHOWN
            shown = [f"{file}: {what}" for file, what in self.faults[:_FAULTS_SHOWN]]
            shown += [f"… and {more} more"] if more > 0 else []
            listed = "\n  ".join(shown)
            raise DataError(
                f"{path}: {len(self.faults)} faulty labels; correct them, or leave them out by "
                f"params.yaml: {key}.on_bad_labels: drop\n  {listed}"
            )
        notes = []
        if self.faults:
            files = shown_files(path, (file for file, _ in self.faults))
            notes.append(f"{len(self.faults)} faulty labels left out: {files}")
        if self.clipped:
            files = shown_files(path, self.clipped)
            notes.append(f"{len(self.clipped)} boxes cut at the image's border: {files}")
        return [f"{path}: {note}" for note in notes]

    def _inside(self, found: Found) -> Centred | None:
        x, y, wide, high = found.box
        if not all(math.isfinite(value) for value in found.box):
            self.add(found.file, f"{found.place}: a box of {_text(found.box)} is not finite")
            return None
        if wide <= 0 or high <= 0:
            self.add(
                found.file,
                f"{found.place}: a box of width {wide:g} and height {high:g} holds nothing",
            )
            return None
        edges = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
        # Within what halving and adding may round the file's own numbers stand.
        if min(edges) >= -_ROUNDING and max(edges) <= 1 + _ROUNDING:
            return found.box
        left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in edges)
        across, down = found.slack
        rounding = (
            min(edges[0] + across, edges[1] + down) >= -_ROUNDING
            and max(edges[2] - across, edges[3] - down) <= 1 + _ROUNDING
        )
        empty = right <= left or bottom <= top
        if empty or not (rounding or self.drop):
            self.add(
                found.file,
                f"{found.place}: a box from {_text(edges)} is outside the image (0 to 1)",
            )
            return None
        if not rounding:
            self.clipped.append(found.file)
        return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def shown_files(path: Path, files: Iterable[str]) -> str:
    """The files of the dataset at `path`, each once, ten at most."""
    names = list(dict.fromkeys(file.removeprefix(f"{path}: ") for file in files))
    more = f" and {len(names) - _FILES_SHOWN} more files" if len(names) > _FILES_SHOWN else ""
    return ", ".join(names[:_FILES_SHOWN]) + more


def _text(values: Iterable[float]) -> str:
    return " ".join(f"{value:.6g}" for value in values)
