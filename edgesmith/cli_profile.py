"""`edgesmith profile`: where an inference spends its time."""

# ruff: noqa: PLC0415

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith.cli_options import JsonOption, ThreadsOption
from edgesmith.errors import DataError, RuntimeUnavailableError

if TYPE_CHECKING:
    from edgesmith.profile.compare import Comparison
    from edgesmith.profile.summary import Summary
    from edgesmith.profile.take import Target

EXAMPLE = (
    "Example: edgesmith profile artifacts/mobilenetv2-qat/onnx "
    "--against artifacts/mobilenetv2-baseline/onnx --out tmp/profile; "
    "edgesmith profile models/mobilenetv2-baseline --out tmp/torch; "
    "edgesmith profile --plot tmp/profile"
)
_LAYERS = 10
# What stands in a variant's folder and not in an artifact's.
_CARD = "model.json"


def profile(
    artifact: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of an artifact (ONNX, TFLite, NCNN), or on the build host of a variant "
            "(models/…), which is profiled in PyTorch."
        ),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another to profile in turns, and to compare by layer.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for trace.json, summary.json and PNGs.  [default: none]"),
    ] = None,
    runs: Annotated[int, typer.Option(min=2, help="Profiled inferences.")] = 50,
    threads: ThreadsOption = 1,
    torchscript: Annotated[
        bool, typer.Option("--torchscript", help="A variant as TorchScript, not eager.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the PNGs of a folder that a device wrote, no more.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show where an inference spends its time: operators, layers, framework.

    A fresh process warms up, then runs with and without the runtime's profiler by turns. The
    folder's trace.json opens in chrome://tracing and ui.perfetto.dev.
    """
    from edgesmith.profile import folder

    if plot is not None:
        for path in folder.draw(plot):
            typer.echo(f"drawn: {path}")
        return
    if artifact is None:
        raise DataError("profile: name an artifact's folder, or --plot a profile's")
    if out is not None:
        folder.refuse_existing(out)
    from edgesmith.profile.compare import compare
    from edgesmith.profile.take import take
    from edgesmith.profile.words import against as in_words

    targets = [_target(path, torchscript) for path in (artifact, against) if path is not None]
    profiles = take(targets, runs=runs, threads=threads)
    found, pair = profiles[0].summary, None
    if out is not None:
        pair = folder.write(out, profiles)
    elif len(profiles) > 1:
        pair = compare(found, profiles[1].summary)
        pair = pair.model_copy(update={"words": in_words(pair)})
    if as_json:
        content = [each.summary.model_dump(mode="json") for each in profiles]
        compared = {} if pair is None else {"comparison": pair.model_dump(mode="json")}
        typer.echo(json.dumps({"profiles": content, **compared}, indent=2))
    else:
        for each in profiles:
            _print(each.summary)
        if pair is not None:
            _print_pair(pair)
    if out is not None:
        _draw(out, quiet=as_json)


def _target(path: Path, torchscript: bool) -> Target:
    from edgesmith.profile import take

    if not (path / _CARD).is_file():
        if torchscript:
            raise DataError(f"{path}: --torchscript is for a variant's folder, models/<variant>")
        return take.artifact(path)
    if importlib.util.find_spec("torch") is None:
        raise RuntimeUnavailableError(
            f"{path}: a variant is profiled in PyTorch, which is not installed here; "
            "pip install edgesmith[build], or profile an artifact"
        )
    from edgesmith.profile_torch.target import target

    return target(path, torchscript=torchscript)


def _print(found: Summary) -> None:
    from edgesmith.profile.summary import top

    typer.echo(
        f"{found.subject.label} ({found.subject.precision}), {found.engine}, "
        f"{found.threads} thread(s), {found.runs} profiled inferences"
    )
    typer.echo(f"method: {found.method}")
    for caveat in found.caveats:
        typer.echo(f"  note: {caveat}")
    rows = [
        ("inference", found.run_ms, "", ""),
        *((op, t.ms, f"{t.share:.1%}", f"{t.launches} kernels") for op, t in found.ops.items()),
        *(
            (name, ms, f"{ms / found.run_ms:.1%}", "overhead")
            for name, ms in found.overhead_ms.items()
        ),
    ]
    _columns("where", rows)
    _columns(
        "slowest layers",
        [
            (layer.name, layer.ms, f"{layer.share:.1%}", f"{layer.op} {layer.shape}")
            for layer in top(found, _LAYERS)
        ],
    )
    typer.echo(found.words + "\n")


def _print_pair(pair: Comparison) -> None:
    typer.echo(f"{pair.first} against {pair.second}")
    for group in pair.families.values():
        ratio = "" if group.ratio is None else f"{group.ratio:.2f}×"
        typer.echo(
            f"  {group.title:<42} {group.first_ms:9.3f} {group.second_ms:9.3f} ms  "
            f"{-group.saved_ms:+.3f} ms  {ratio}"
        )
    for line in pair.unmatched:
        typer.echo(f"  compared by sum alone: {line}")
    typer.echo(pair.words)


def _columns(title: str, rows: list[tuple[str, float, str, str]]) -> None:
    width = max(len(title), *(len(row[0]) for row in rows))
    typer.echo(f"  {title:<{width}}        ms   share")
    for name, ms, share, note in rows:
        typer.echo(f"  {name:<{width}} {ms:9.3f} {share:>7}  {note}".rstrip())


def _draw(out: Path, *, quiet: bool) -> None:
    from edgesmith.profile import folder

    try:
        drawn = [path.name for path in folder.draw(out)]
    except RuntimeUnavailableError as error:
        typer.echo(f"no pictures: {error}", err=True)
        drawn = []
    if not quiet:
        typer.echo(f"{out}: {', '.join(['trace.json', 'summary.json', *drawn])}")
