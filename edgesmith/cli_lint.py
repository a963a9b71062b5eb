"""`edgesmith lint`: what an accelerator's compiler would refuse of an artifact."""

# ruff: noqa: PLC0415

from __future__ import annotations

import enum
import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli_options import JsonOption
from edgesmith.errors import ContractError, RuntimeUnavailableError

if TYPE_CHECKING:
    from edgesmith.findings import Finding

EXAMPLE = "Example: edgesmith lint artifacts/mobilenetv2-qat/onnx-trt --build --sm 86"


class Target(enum.StrEnum):
    """Whose rules apply."""

    tensorrt = "tensorrt"
    edgetpu = "edgetpu"


# The linters need onnx or LiteRT, which no other command does: they are imported by name.
_TARGETS = {
    "onnx": Target.tensorrt,
    "onnx-trt": Target.tensorrt,
    "tflite": Target.edgetpu,
}


def lint(
    artifact: Annotated[
        Path,
        typer.Argument(help="Folder of an artifact, such as artifacts/mobilenetv2-qat/onnx-trt."),
    ],
    target: Annotated[
        Target | None,
        typer.Option("--for", help="Whose rules; by the artifact's format where not given."),
    ] = None,
    tensorrt: Annotated[
        str, typer.Option(help="The oldest TensorRT that must take it (JetPack 6 has 10.3).")
    ] = "10.3",
    build: Annotated[
        bool, typer.Option("--build", help="Build it with tensorrt-rtx too; nothing is kept.")
    ] = False,
    sm: Annotated[
        list[int],
        typer.Option(help="GPU generation to build for, repeatable: 75, 80, 86, 89, 120."),
    ] = [86],  # noqa: B006 (typer copies it)
    spec: Annotated[
        Path | None, typer.Option(help="Write the build spec for the device here if all is well.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what TensorRT or the Edge TPU compiler would refuse of an artifact.

    Every finding names the node and the remedy. Status 1 if there is one that the compiler stops
    at; cautions leave it 0. No GPU, no accelerator and no vendor tool is needed; --build takes the
    package tensorrt-rtx, which builds on a CPU. Orin's own generation, 87, is not among those that
    it builds for; 86 is next to it.
    """
    from edgesmith import contract as contracts

    contract = contracts.read(artifact)
    chosen = target or _TARGETS.get(contract.format)
    if chosen is None:
        raise ContractError(
            f"{artifact}: no linter for {contract.format}; there is one for {', '.join(_TARGETS)}"
        )
    if chosen is not Target.tensorrt and (build or spec):
        raise typer.BadParameter("--build and --spec are for --for tensorrt")
    report = _tensorrt(artifact, tensorrt) if chosen is Target.tensorrt else _edgetpu(artifact)
    if build:
        trial = _module("trt.try_build").trial_of_artifact(artifact, sm)
        report["findings"] += trial.findings
        report["built"] = {
            "tensorrt-rtx": trial.version,
            "sm": sm,
            "layers": trial.layers,
            "engine_bytes": trial.engine_bytes,
            "seconds": trial.seconds,
        }
    findings: list[Finding] = report["findings"]
    stopped = any(finding.severity == "refused" for finding in findings)
    if spec is not None and not stopped:
        specs = _module("trt.spec")
        specs.write(specs.of_artifact(artifact), spec)
    if as_json:
        typer.echo(json.dumps(report | {"findings": [f._asdict() for f in findings]}, indent=2))
    else:
        _print(artifact, chosen, report, stopped)
    if stopped:
        raise typer.Exit(1)


def _tensorrt(artifact: Path, version: str) -> dict[str, Any]:
    operators, linter = _module("trt.operators"), _module("trt.lint")
    try:
        wanted = operators.parse(version)
    except ValueError as error:
        raise typer.BadParameter(f"--tensorrt: {error}") from error
    return {"findings": linter.lint_artifact(artifact, wanted)}


def _edgetpu(artifact: Path) -> dict[str, Any]:
    mapped = _module("edgetpu.mapping").map_artifact(artifact)
    return {
        "findings": list(mapped.findings),
        "operators": mapped.operators,
        "on_edgetpu": mapped.on_edgetpu,
    }


def _module(name: str) -> Any:
    try:
        return import_module(f"edgesmith.{name}")
    except ModuleNotFoundError as error:
        raise RuntimeUnavailableError(
            f"`edgesmith lint` needs the Python package {error.name!r}, which is not installed "
            "here; pip install edgesmith[build]"
        ) from error


def _print(artifact: Path, target: Target, report: dict[str, Any], stopped: bool) -> None:
    for finding in report["findings"]:
        typer.echo(str(finding))
    if "operators" in report:
        typer.echo(
            f"{report['on_edgetpu']} of {report['operators']} operators would run on the Edge TPU"
        )
    if "built" in report and report["built"]["engine_bytes"]:
        made = report["built"]
        typer.echo(
            f"built by tensorrt-rtx {made['tensorrt-rtx']} for SM "
            f"{', '.join(map(str, made['sm']))}: {made['layers']} layers, "
            f"{made['engine_bytes'] / 1e6:.1f} MB, not kept"
        )
    verdict = "would be refused" if stopped else "passes"
    typer.echo(f"{artifact}: {verdict} ({target})")
