"""`edgesmith serve`: the loop on the device."""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli_options import ArtifactArgument, JsonOption, print_pairs

if TYPE_CHECKING:
    from edgesmith.serve.settings import Settings
    from edgesmith.serve.summary import Summary

EXAMPLE = (
    "Examples: edgesmith serve artifacts/yolo26n-qat/ncnn --source /dev/video0 --every adaptive "
    "--threads 4 --http 8080; "
    "edgesmith serve artifacts/yolo26n-qat/onnx --source street.mp4 --fast --every-frame "
    "--jsonl seen.jsonl --json"
)
# Options that are no settings of the loop.
APART = ("root", "as_json")
# Exit status when a part could not be kept alive.
GAVE_UP = 3
_SOURCE, _MODEL, _OUTPUTS, _WATCH = "Source", "Model and tracker", "Outputs", "Watchdog and heat"


def serve(
    artifact: ArtifactArgument,
    source: Annotated[
        str,
        typer.Option(
            help="/dev/video0 or camera:0, picamera, rtsp://USER:WORD@HOST/PATH (or http://…), a "
            "video file, a folder of images, or synthetic.",
            rich_help_panel=_SOURCE,
        ),
    ],
    size: Annotated[
        str,
        typer.Option(
            help="Width and height to ask of a camera, or to make.", rich_help_panel=_SOURCE
        ),
    ] = "640x480",
    fps: Annotated[
        float | None,
        typer.Option(
            help="Frames a second to ask of a camera, or the pace of a file (default: its own).",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="End after so many.", rich_help_panel=_SOURCE)
    ] = None,
    fast: Annotated[
        bool,
        typer.Option("--fast", help="Read a file without its pace.", rich_help_panel=_SOURCE),
    ] = False,
    every_frame: Annotated[
        bool,
        typer.Option(
            "--every-frame",
            help="Drop no frame of a file: reading waits for the model. Otherwise the newest "
            "frame replaces one that waits, and latency never piles up.",
            rich_help_panel=_SOURCE,
        ),
    ] = False,
    every: Annotated[
        str,
        typer.Option(
            help="Run the model on every n-th frame and track between, or adaptive: as seldom as "
            "motion allows.",
            rich_help_panel=_MODEL,
        ),
    ] = "1",
    target_fps: Annotated[
        float | None,
        typer.Option(help="What --every adaptive is to reach.", rich_help_panel=_MODEL),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Least score, in place of the contract's.", rich_help_panel=_MODEL),
    ] = None,
    threads: Annotated[
        int, typer.Option(help="Threads that the network runs on.", rich_help_panel=_MODEL)
    ] = 1,
    provider: Annotated[
        list[str],
        typer.Option(help="cpu, cuda, openvino …; best first, repeatable.", rich_help_panel=_MODEL),
    ] = ["cpu"],  # noqa: B006 (typer copies it)
    http: Annotated[
        str | None,
        typer.Option(
            help="Port, or HOST:PORT, of the live page, /metrics (Prometheus) and /healthz. 8080 "
            "is for this machine alone, 0.0.0.0:8080 for everyone in the network.",
            rich_help_panel=_OUTPUTS,
        ),
    ] = None,
    jsonl: Annotated[
        Path | None,
        typer.Option(
            help="File of JSON lines, one per frame, rotated by size; - is standard output, where "
            "the summary is then the last line.",
            rich_help_panel=_OUTPUTS,
        ),
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(help="Annotated video, .mkv or .avi.", rich_help_panel=_OUTPUTS),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            help="SQLite log of what came and went: edgesmith events lists it, edgesmith sync "
            "ships it.",
            rich_help_panel=_OUTPUTS,
        ),
    ] = None,
    event_pictures: Annotated[
        bool,
        typer.Option(
            "--event-pictures",
            help="Keep a small picture of each new object in it.",
            rich_help_panel=_OUTPUTS,
        ),
    ] = False,
    window: Annotated[
        bool,
        typer.Option(
            "--window", help="Show it where there is a display.", rich_help_panel=_OUTPUTS
        ),
    ] = False,
    fallback: Annotated[
        Path | None,
        typer.Option(
            help="Artifact to run when the first fails too often: a CPU one beside one for an "
            "accelerator, say. The state is then `degraded`.",
            rich_help_panel=_WATCH,
        ),
    ] = None,
    smaller: Annotated[
        list[Path],
        typer.Option(
            help="Artifact to turn to when skipping frames does not cool enough; repeatable, the "
            "next smaller first.",
            rich_help_panel=_WATCH,
        ),
    ] = [],  # noqa: B006 (typer copies it)
    governor: Annotated[
        bool,
        typer.Option(
            help="Slow down from 75 °C, stop at 90 °C until it is 70 °C.", rich_help_panel=_WATCH
        ),
    ] = True,
    hang_after: Annotated[
        float,
        typer.Option(
            help="Seconds without progress after which a part is replaced.",
            rich_help_panel=_WATCH,
        ),
    ] = 1.5,
    start_within: Annotated[
        float,
        typer.Option(
            help="Seconds that a part may take to start: load its network, open its camera.",
            rich_help_panel=_WATCH,
        ),
    ] = 60.0,
    failures: Annotated[
        int,
        typer.Option(
            help="Failures in a row that end in the fallback, or in giving up.",
            rich_help_panel=_WATCH,
        ),
    ] = 5,
    root: Annotated[
        Path, typer.Option(help="Where the machine's file system begins.", hidden=True)
    ] = Path("/"),
    as_json: JsonOption = False,
) -> None:
    """Watch a camera, a stream or a file with an artifact, around the clock.

    Three processes read, look and write; a fourth, this one, replaces each of them when it
    hangs or dies. Ctrl-C or SIGTERM ends the run in order and prints a summary. Status 0 at the end
    of the source or when asked to end, 1 for what you can mend, 3 when a part could not be kept
    alive. To have systemd start it at boot: edgesmith install-service.
    """
    settings = settings_of(**{name: value for name, value in locals().items() if name not in APART})
    from edgesmith.serve import session

    summary = session.serve(settings, _stopped(), root)
    if str(jsonl) == "-":
        typer.echo(json.dumps({"summary": summary.model_dump()}, separators=(",", ":")))
    else:
        _show(summary, as_json)
    if summary.gave_up:
        raise typer.Exit(GAVE_UP)


def settings_of(
    *,
    artifact: Path,
    source: str,
    size: str,
    fps: float | None,
    frames: int | None,
    fast: bool,
    every_frame: bool,
    every: str,
    target_fps: float | None,
    threshold: float | None,
    threads: int,
    provider: list[str],
    http: str | None,
    jsonl: Path | None,
    video: Path | None,
    events: Path | None,
    event_pictures: bool,
    window: bool,
    fallback: Path | None,
    smaller: list[Path],
    governor: bool,
    hang_after: float,
    start_within: float,
    failures: int,
) -> Settings:
    """The options, valid; SourceError or ServeError names the option at fault."""
    from pydantic import ValidationError

    from edgesmith.serve.errors import ServeError
    from edgesmith.serve.settings import Outputs, Settings, Watch
    from edgesmith.serve.sources import spec

    width, height = _size(size)
    found = spec.parse(
        source,
        width=width,
        height=height,
        fps=fps,
        fast=fast,
        every_frame=every_frame,
        frames=frames,
    )
    try:
        return Settings(
            artifact=artifact,
            smaller=tuple(smaller),
            fallback=fallback,
            source=found,
            threads=threads,
            providers=tuple(provider),
            threshold=threshold,
            every="adaptive" if every == "adaptive" else int(every),
            target_fps=target_fps,
            govern=governor,
            outputs=Outputs(
                jsonl=jsonl,
                video=video,
                http=http,
                events=events,
                event_pictures=event_pictures,
                window=window,
            ),
            watch=Watch(hang_s=hang_after, start_s=start_within, failures=failures),
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        option = _OPTIONS.get(name, f"--{name.replace('_', '-')}" if name else "")
        raise ServeError(f"{option}: {first['msg']}".removeprefix(": ")) from error
    except ValueError as error:
        raise ServeError(f"--every {every}: neither a number nor `adaptive`") from error


# Of settings whose option has another name.
_OPTIONS = {
    "hang_s": "--hang-after",
    "start_s": "--start-within",
    "providers": "--provider",
}


def _size(text: str) -> tuple[int, int]:
    from edgesmith.serve.errors import ServeError

    found = re.fullmatch(r"(\d+)[x×](\d+)", text)
    if not found:
        raise ServeError(f"--size {text}: not a width and a height such as 640x480")
    return int(found[1]), int(found[2])


def _stopped() -> Callable[[], bool]:
    """Whether the user or the system asked for an end; asked twice, it comes at once.

    What the caller ignores (nohup, a shell's background job) stays ignored.
    """
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, ask)
    return lambda: bool(asked)


def _show(summary: Summary, as_json: bool) -> None:
    if as_json:
        typer.echo(summary.model_dump_json(indent=2))
        return
    from edgesmith.serve import summary as summaries

    headers, rows = summaries.table(summary)
    if rows:
        widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
        for line in (headers, *rows):
            cells = [line[0].ljust(widths[0])]
            cells += [f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)][1:]
            typer.echo("  ".join(cells))
        typer.echo()
    print_pairs(summaries.pairs(summary))
