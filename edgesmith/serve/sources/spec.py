"""What `--source` means, checked before anything starts. No OpenCV here."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgesmith.serve.errors import SourceError
from edgesmith.serve.settings import Kind, Source

# By FFmpeg, through OpenCV.
_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtp", "udp", "tcp", "srt")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
FORMS = (
    "/dev/video0 or camera:0, picamera, rtsp://… (or http://…), a video file, a folder of images, "
    "synthetic"
)


def parse(text: str, **options: Any) -> Source:
    """The source that `text` names; SourceError says what is wrong with it and what would do.

    `options` are fields of `Source`.
    """
    kind, address = _kind(text)
    _check(kind, address, text)
    try:
        return Source(kind=kind, address=address, **options)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise SourceError(f"--source {text}: {name}: {first['msg']}") from error


def images(folder: Path) -> list[Path]:
    """The images right inside a folder, in order of their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def _kind(text: str) -> tuple[Kind, str]:
    if text in ("synthetic", "picamera"):
        return ("synthetic" if text == "synthetic" else "picamera"), ""
    if found := re.fullmatch(r"(?:camera:)?(\d+)", text):
        return "camera", f"/dev/video{found[1]}"
    if text.startswith("/dev/"):
        return "camera", text
    if found := re.match(r"([a-z0-9]+)://", text.lower()):
        if found[1] not in _SCHEMES:
            raise SourceError(
                f"--source {text}: {found[1]}:// is none of {', '.join(_SCHEMES)}; a source is "
                f"{FORMS}"
            )
        return "stream", text
    return ("folder" if Path(text).is_dir() else "video"), text


def _check(kind: Kind, address: str, text: str) -> None:
    if kind == "camera":
        _check_camera(address, text)
    elif kind == "video" and not Path(address).is_file():
        raise SourceError(f"--source {text}: no such file; a source is {FORMS}")
    elif kind == "folder" and not images(Path(address)):
        raise SourceError(
            f"--source {text}: no {', '.join(IMAGE_SUFFIXES)} file in this folder; name another"
        )


def _check_camera(device: str, text: str) -> None:
    if not Path(device).exists():
        present = sorted(glob.glob("/dev/video*"))  # noqa: PTH207 (names, not paths)
        raise SourceError(
            f"--source {text}: there is no {device}; "
            + (
                f"present: {', '.join(present)} (`v4l2-ctl --list-devices` says which is what)"
                if present
                else "no camera is attached or its driver is not loaded (see `dmesg`); a Pi "
                "camera on the ribbon cable is `--source picamera`"
            )
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceError(
            f"--source {text}: {device} may not be opened by this user; add the user to the group "
            "`video` (`sudo usermod -aG video $USER`) and log in again"
        )
