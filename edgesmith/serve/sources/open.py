"""From what was asked for to an open source."""

from __future__ import annotations

from pathlib import Path

from edgesmith.serve.settings import Source
from edgesmith.serve.sources.camera import Camera
from edgesmith.serve.sources.folder import Folder
from edgesmith.serve.sources.picamera import open_picamera
from edgesmith.serve.sources.source import Frames
from edgesmith.serve.sources.stream import OPEN_SECONDS, Stream
from edgesmith.serve.sources.synthetic import Synthetic
from edgesmith.serve.sources.video import Video

# What opening may take: a camera settles its exposure, a stream waits for a key frame.
LONGEST_SECONDS = OPEN_SECONDS + 5


def open_source(source: Source, start: int, stall_s: float) -> Frames:
    """The source, at frame `start` where it can be (not a live one).

    SourceError where it cannot be had, SourceLostError where it may be had later. A stream without
    a frame for `stall_s` is lost.
    """
    width, height, fps = source.width, source.height, source.fps
    if source.kind == "camera":
        return Camera(source.address, width, height, fps)
    if source.kind == "picamera":
        return open_picamera(width, height, fps)
    if source.kind == "stream":
        return Stream(source.address, fps, stall_s)
    if source.kind == "video":
        return Video(Path(source.address), fps, start)
    if source.kind == "folder":
        return Folder(Path(source.address), fps, start)
    return Synthetic(width, height, fps, start)
