"""`edgesmith publish`: sign what a checkout built, for devices to pull."""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli_options import JsonOption
from edgesmith.errors import RuntimeUnavailableError

if TYPE_CHECKING:
    from edgesmith.publish.publish import Published

EXAMPLE = (
    "Example: edgesmith publish --new-key; dvc push && edgesmith publish --variant "
    "mobilenetv2-qat --variant yolo26n-qat"
)


def publish(
    new_key: Annotated[
        bool,
        typer.Option("--new-key", help="Only make a signing key and print its public line."),
    ] = False,
    key: Annotated[
        list[Path],
        typer.Option(
            help="Private key, by default ~/.config/edgesmith/publish.key; repeatable, while "
            "devices move from one key to another."
        ),
    ] = [],  # noqa: B006 (typer copies it)
    variant: Annotated[list[str], typer.Option(help="Only this variant; repeatable.")] = [],  # noqa: B006
    format_name: Annotated[
        list[str], typer.Option("--format", help="Only this format; repeatable.")
    ] = [],  # noqa: B006
    default: Annotated[
        str | None,
        typer.Option(
            help="Variant that `current` is on devices, else the one in active: of params.yaml."
        ),
    ] = None,
    remote: Annotated[str | None, typer.Option(help="DVC remote, else the default one.")] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Publish from the checkout's own cache, no remote.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder to write to, where the remote is no folder of this machine."),
    ] = None,
    golden: Annotated[
        Path | None,
        typer.Option(help="Image of the self-test, else the first test image of each dataset."),
    ] = None,
    valid_days: Annotated[
        int | None, typer.Option(min=1, help="Devices refuse the manifest after so many days.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="The checkout.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Write a signed manifest of the checkout's artifacts beside its DVC remote.

    It lists each file with SHA-256, size and place in the remote, and what each artifact says of a
    golden image. Refused: artifacts that are stale, not in the remote, or damaged there.
    """
    _require_build_side()
    from edgesmith.deliver import keys

    chosen = key or [default_key()]
    if new_key:
        text = keys.make(chosen[0])
        typer.echo(
            f"{chosen[0]}: signs what you publish; keep it, and a copy, to yourself", err=True
        )
        typer.echo("give this line to devices once, as --key:", err=True)
        typer.echo(text)
        return
    from edgesmith.publish import publish as publishing

    request = publishing.Request(
        folder, chosen, variant, format_name, remote, cache, output, golden, default, valid_days
    )
    done = publishing.publish(request, lambda line: typer.echo(line, err=True))
    if as_json:
        typer.echo(json.dumps(_json(done), indent=2))
    else:
        _print(done)


def default_key() -> Path:
    """Where the signing key is unless another file is named."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "edgesmith/publish.key"


def _require_build_side() -> None:
    import importlib.util

    missing = [
        name
        for name in ("cryptography", "tenacity", "dvc", "yaml")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise RuntimeUnavailableError(
            f"`edgesmith publish` is for the build host (no {', '.join(missing)} here); "
            "pip install edgesmith[build,deliver]"
        )


def _print(done: Published) -> None:
    for key, reason in done.left_out.items():
        typer.echo(f"left out {key}: {reason}", err=True)
    made = done.manifest
    size = sum(artifact.size_bytes for artifact in made.artifacts)
    typer.echo(
        f"{done.path}: {len(made.artifacts)} artifact(s), {size / 1e6:.1f} MB, serial "
        f"{made.serial}, current is {made.default}"
    )
    if not done.beside_remote:
        typer.echo(f"copy {done.path.parent} to the remote's root, so that it lies beside files/")
    for text in done.key_texts:
        typer.echo(f"devices need --key {text} once")


def _json(done: Published) -> dict[str, Any]:
    return {
        "path": str(done.path),
        "keys": done.key_texts,
        "left_out": done.left_out,
        "manifest": done.manifest.model_dump(mode="json"),
    }
