"""A film as files: a video, and its true tracks as MOTChallenge stores them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2

from edgesmith import files
from edgesmith.data.scenes.plates import LABELS
from edgesmith.errors import DataError
from edgesmith.film.shoot import Script, Truth, shoot

VIDEO = "video.avi"
TRACKS = "gt/gt.txt"
# Signs of which less can be seen are in the file and marked as not to be judged.
LEAST_VISIBLE = 0.5


def write(folder: Path, script: Script) -> int:
    """Render a film into `folder`; the number of its tracks.

    `video.avi` is Motion JPEG, which every OpenCV decodes, frame by frame; `gt/gt.txt` has lines
    `frame, track, left, top, width, height, judged, class, visibility` (MOT16, frames and classes
    from 1), `seqinfo.ini` names both, and `labels.txt` the classes. The video appears under its
    name once it is whole. Raises DataError where OpenCV cannot write one.
    """
    script.check()
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{VIDEO}.part.avi"
    writer = cv2.VideoWriter(
        str(part), cv2.VideoWriter.fourcc(*"MJPG"), script.fps, (script.width, script.height)
    )
    if not writer.isOpened():
        raise DataError(f"{part}: OpenCV cannot write Motion JPEG there; is the folder writable?")
    lines: list[str] = []
    tracks: set[int] = set()
    try:
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 95)
        for number, (image, signs) in enumerate(shoot(script), start=1):
            writer.write(image[:, :, ::-1].copy())
            lines += _lines(number, signs)
            tracks |= {sign.track for sign in signs}
    except BaseException:
        writer.release()
        part.unlink(missing_ok=True)
        raise
    writer.release()
    files.write_text(folder / TRACKS, "".join(f"{line}\n" for line in lines))
    files.write_text(folder / "labels.txt", "".join(f"{label}\n" for label in LABELS))
    files.write_text(folder / "seqinfo.ini", _information(folder.name, script))
    os.replace(part, folder / VIDEO)  # noqa: PTH105 (over an older film)
    return len(tracks)


def _lines(number: int, signs: Sequence[Truth]) -> list[str]:
    return [
        f"{number},{sign.track},{sign.box[0]:.2f},{sign.box[1]:.2f},"
        f"{sign.box[2] - sign.box[0]:.2f},{sign.box[3] - sign.box[1]:.2f},"
        f"{int(sign.visible >= LEAST_VISIBLE)},{sign.label + 1},{sign.visible:.3f}"
        for sign in signs
    ]


def _information(name: str, script: Script) -> str:
    return (
        f"[Sequence]\nname={name}\nimDir={VIDEO}\nframeRate={script.fps:g}\n"
        f"seqLength={script.frames}\nimWidth={script.width}\nimHeight={script.height}\n"
        f"imExt=.avi\n\n[Film]\nseed={script.seed}\ndifficulty={script.difficulty:g}\n"
        f"together={script.together:g}\n"
    )
