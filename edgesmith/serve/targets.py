"""From what was asked for to open outputs; each is imported only where it is asked for."""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgesmith import contract as contracts
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.serve.outputs.output import Output, Outputs
from edgesmith.serve.outputs.overlay import Overlay
from edgesmith.serve.settings import Settings

_STDOUT = Path("-")
_VIDEO_FPS = 25.0


def open_outputs(settings: Settings) -> Outputs:
    """All outputs of the session.

    Raises OutputError or ContractError where one cannot be had, RuntimeUnavailableError where a
    package for it is missing.
    """
    found: list[Output] = []
    try:
        for output in _open(settings):
            found.append(output)  # noqa: PERF402 (what was opened before a fault is closed)
    except BaseException as error:
        for output in found:
            output.close()
        if isinstance(error, ModuleNotFoundError):
            raise RuntimeUnavailableError(
                f"an output needs the Python package {error.name!r}, which is not installed here; "
                "pip install edgesmith[serve]"
            ) from error
        raise
    return Outputs(found)


def _open(settings: Settings) -> Iterator[Output]:
    labels = contracts.read(settings.artifact).labels
    asked = settings.outputs
    overlay = Overlay(labels)
    if asked.jsonl is not None:
        from edgesmith.serve.outputs.lines import JsonLines

        yield JsonLines(None if asked.jsonl == _STDOUT else asked.jsonl, labels)
    if asked.video is not None:
        from edgesmith.serve.outputs.video import Video

        yield Video(asked.video, overlay, settings.source.fps or _VIDEO_FPS)
    if asked.http is not None:
        from edgesmith.serve.outputs.http import Http, address

        yield Http(address(asked.http), labels, overlay)
    if asked.events is not None:
        from edgesmith.events.log import EventLog

        yield EventLog(asked.events, labels, pictures=asked.event_pictures)
    if asked.window:
        from edgesmith.serve.outputs.window import Window

        yield Window(overlay)
