"""Arguments that several commands share, and how they print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ArtifactArgument = Annotated[
    Path, typer.Argument(help="Folder of an artifact, such as artifacts/mobilenetv2-qat/onnx.")
]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads that the network runs on.")]
ProviderOption = Annotated[
    list[str],
    typer.Option(
        "--provider",
        help="cpu, cuda, openvino …; best first, repeatable. Not given: what the format is for, "
        "the CPU or an accelerator.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]


def print_pairs(pairs: dict[str, str]) -> None:
    """Print names and values in two columns."""
    width = max(len(key) for key in pairs)
    for key, value in pairs.items():
        typer.echo(f"{key:<{width}}  {value}")
