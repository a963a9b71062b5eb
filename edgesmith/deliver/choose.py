"""Which of the published artifacts a device can run, and why not the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from edgesmith.deliver.manifest import Artifact
from edgesmith.device.catalogue.entry import Entry
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.runtimes.session import ENGINES

# An HEF for the smaller chip runs on the larger one, never the other way round (docs/hailo.md:
# Dataflow Compiler 3.x).
_HAILO = {"hailo8": {"hailo8", "hailo8l"}, "hailo8l": {"hailo8l"}}


class Choice(NamedTuple):
    """Per variant the artifact in the best format, and the others' reason by `variant/format`."""

    taken: dict[str, Artifact]
    skipped: dict[str, str]


class _Engine(Protocol):
    ENGINE: str

    def available_providers(self) -> list[str]: ...


def engine_fault(format_name: str) -> str:
    """Why no runtime of this machine executes a format, with the remedy; empty if one does."""
    if format_name not in ENGINES:
        return f"this edgesmith has no runtime for the format {format_name!r}"
    module, extra = ENGINES[format_name]
    try:
        engine = cast(_Engine, import_module(f"edgesmith.runtimes.{module}"))
    except ModuleNotFoundError as fault:
        return f"{fault.name} is not installed; pip install edgesmith[{extra}]"
    except (ImportError, RuntimeUnavailableError) as fault:
        return f"{module} is installed but cannot be imported ({fault})"
    try:
        engine.available_providers()
    except RuntimeUnavailableError as fault:
        return str(fault)
    return ""


def choose(
    artifacts: Sequence[Artifact],
    entry: Entry,
    machine: Mapping[str, str],
    variant: str | None = None,
    format_name: str | None = None,
    fault_of: Callable[[str], str] = engine_fault,
) -> Choice:
    """What a device of the catalogue takes of what was published, on a machine (fingerprint).

    Of a variant, the format that the catalogue prefers among those that run. `fault_of` says why a
    format cannot be run here.
    """
    order = [taken.format for taken in entry.formats]
    faults: dict[str, str] = {}
    able: dict[str, list[Artifact]] = {}
    skipped = {}
    for artifact in artifacts:
        reason = _not_asked(artifact, variant, format_name) or _not_taken(artifact, entry, machine)
        if not reason:
            if artifact.format not in faults:
                faults[artifact.format] = fault_of(artifact.format)
            reason = faults[artifact.format]
        if reason:
            skipped[artifact.key] = reason
        else:
            able.setdefault(artifact.variant, []).append(artifact)
    taken = {}
    for name, candidates in able.items():
        best, *others = sorted(candidates, key=lambda a: order.index(a.format))  # type: ignore[arg-type]
        taken[name] = best
        for other in others:
            skipped[other.key] = f"{entry.name} prefers {best.format}; --format {other.format}"
    return Choice(taken, skipped)


def _not_asked(artifact: Artifact, variant: str | None, format_name: str | None) -> str:
    if variant is not None and artifact.variant != variant:
        return f"not asked for (--variant {variant})"
    if format_name is not None and artifact.format != format_name:
        return f"not asked for (--format {format_name})"
    return ""


def _not_taken(artifact: Artifact, entry: Entry, machine: Mapping[str, str]) -> str:
    formats = [taken.format for taken in entry.formats]
    if artifact.format not in formats:
        return f"{entry.name} does not take {artifact.format}; it takes {', '.join(formats)}"
    return _wrong_processor(artifact, machine) or _wrong_accelerator(artifact, machine)


def _wrong_processor(artifact: Artifact, machine: Mapping[str, str]) -> str:
    wanted = re.search(r"\b(x86_64|amd64|aarch64|arm64|armv7l)\b", artifact.target)
    own = machine.get("arch", "")
    if wanted and _plain(wanted[0]) != _plain(own):
        return f"built for {artifact.target}, and this machine is {own}"
    return ""


def _wrong_accelerator(artifact: Artifact, machine: Mapping[str, str]) -> str:
    """Of formats that hold a chip's own code; what the machine does not say is not judged here."""
    if artifact.format == "hef":
        own = machine.get("hailo.arch", "").lower()
        if own and artifact.target not in _HAILO.get(own, {own}):
            return f"compiled for {artifact.target}, and the chip here is {own}"
    if artifact.format == "engine":
        built = re.search(r"\bSM (\d+)\b", artifact.target)
        own = machine.get("gpu.compute", "").replace(".", "")
        if built and own and built[1] != own:
            return f"built for {artifact.target}, and the GPU here is SM {own}"
        version = re.search(r"\bTensorRT (\S+)", artifact.target)
        installed = machine.get("runtime.tensorrt", "")
        if version and installed and version[1].rstrip(",") != installed:
            return f"built by TensorRT {version[1].rstrip(',')}, and {installed} is installed here"
    return ""


def _plain(name: str) -> str:
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)
