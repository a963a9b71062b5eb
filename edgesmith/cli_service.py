"""`edgesmith install-service`: have systemd keep the loop running."""

# ruff: noqa: PLC0415

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli_options import ArtifactArgument

if TYPE_CHECKING:
    from edgesmith.serve.unit import Service

EXAMPLE = (
    "Example: sudo .venv/bin/edgesmith install-service artifacts/yolo26n-qat/ncnn "
    "--source /dev/video0 --every adaptive --threads 4 --http 8080"
)
CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}
_SYSTEM = Path("/etc/systemd/system")


def install_service(
    context: typer.Context,
    artifact: ArtifactArgument,
    source: Annotated[str, typer.Option(help="As of edgesmith serve.")],
    user: Annotated[
        bool, typer.Option("--user", help="A service of your own, not of the system.")
    ] = False,
    name: Annotated[str, typer.Option(help="Name of the service.")] = "edgesmith",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the unit and write nothing.")
    ] = False,
) -> None:
    """Write a systemd unit that runs edgesmith serve with these options at every boot.

    Takes all options of edgesmith serve, and refuses what that would refuse. systemd restarts the
    loop when it fails or when its watchdog sees no frame finished. Nothing is started: the commands
    for that are printed. A service of the system is written by root and runs as the user who called
    sudo, and may write where its outputs lie and nowhere else.
    """
    from edgesmith import contract as contracts
    from edgesmith import files
    from edgesmith.cli_serve import settings_of
    from edgesmith.serve import unit
    from edgesmith.serve.errors import ServeError

    words = [str(artifact), "--source", source, *context.args]
    options = _options(words)
    service = _service(name, words, options, user)
    if dry_run:
        typer.echo(unit.text(service), nl=False)
        return
    settings_of(**options)
    contracts.verify(artifact)
    folder = _user_folder() if user else _SYSTEM
    path = folder / f"{name}.service"
    try:
        for writable in service.writable:
            writable.mkdir(parents=True, exist_ok=True)
        files.write_text(path, unit.text(service))
    except OSError as error:
        raise ServeError(
            f"{path}: cannot be written ({error.strerror}); call it with sudo, or with --user for "
            "a service of your own"
        ) from error
    control = "systemctl --user" if user else "sudo systemctl"
    typer.echo(f"written: {path}")
    typer.echo(f"start it, now and at every boot: {control} daemon-reload && ", nl=False)
    typer.echo(f"{control} enable --now {name}")
    if user:
        typer.echo("before you log in: sudo loginctl enable-linger $USER")
    typer.echo(f"how it is: {control} status {name}; journalctl {_journal(user)} {name} -f")


def _options(words: list[str]) -> dict[str, Any]:
    """The options as `edgesmith serve` reads them; click's own error for one that it refuses."""
    from edgesmith.cli import app
    from edgesmith.cli_serve import APART

    serve = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    parsed = serve.make_context("serve", list(words)).params
    return {name: value for name, value in parsed.items() if name not in APART}


def _service(name: str, words: list[str], options: dict[str, Any], user: bool) -> Service:
    from edgesmith.serve.errors import ServeError
    from edgesmith.serve.unit import Service

    if not re.fullmatch(r"[A-Za-z0-9:_.@-]+", name):
        raise ServeError(f"--name {name}: letters, digits and :_.@- alone make a unit's name")
    here = Path.cwd()
    outputs = [options[key] for key in ("jsonl", "video", "events") if options[key] is not None]
    return Service(
        name=name,
        command=[str(Path(sys.executable).absolute()), "-m", "edgesmith", "serve", *words],
        folder=here,
        writable=sorted({(here / path).parent for path in outputs if str(path) != "-"}),
        user=None if user else os.environ.get("SUDO_USER") or _login(),
        start_s=options["start_within"],
    )


def _login() -> str:
    import getpass

    return getpass.getuser()


def _user_folder() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "systemd/user"


def _journal(user: bool) -> str:
    return "--user -u" if user else "-u"
