"""What this machine can run and build, and what to install for the rest."""

from __future__ import annotations

import importlib
import importlib.util
from importlib import metadata

from edgesmith.device import fingerprint
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.runtimes.session import ENGINES

# Importable name and distribution of what the build side cannot do without.
_BUILD = {
    "torch": "torch",
    "torchao": "torchao",
    "torch_pruning": "torch-pruning",
    "timm": "timm",
    "onnx": "onnx",
    "litert_torch": "litert-torch",
    "pnnx": "pnnx",
    "ruamel.yaml": "ruamel.yaml",
    "dvc": "dvc",
    "matplotlib": "matplotlib",
}


def examine() -> dict[str, str]:
    """What was found, by subject, in words; nothing heavy is imported but the runtimes."""
    return {
        "machine": fingerprint.describe(fingerprint.fingerprint()),
        "fingerprint": fingerprint.fingerprint_id(fingerprint.fingerprint()),
        **{f"run {name}": _runs(name) for name in ENGINES},
        "build": _build(),
    }


def _runs(format_name: str) -> str:
    module, extra = ENGINES[format_name]
    try:
        # May be missing, or installed and broken: both are reported.
        engine = importlib.import_module(f"edgesmith.runtimes.{module}")
    except ModuleNotFoundError:
        return f"no: pip install edgesmith[{extra}]"
    except (ImportError, RuntimeUnavailableError) as error:
        return f"no: {module} is installed but cannot be imported ({error})"
    try:
        providers = engine.available_providers()
    except RuntimeUnavailableError as error:
        return f"no: {engine.ENGINE} is installed, but {error}"
    return f"yes: {engine.ENGINE}; providers {', '.join(providers)}"


def _build() -> str:
    missing = [dist for name, dist in _BUILD.items() if not _importable(name)]
    if missing:
        return f"no: {', '.join(missing)} missing; pip install edgesmith[build]"
    return "yes: " + ", ".join(f"{dist} {metadata.version(dist)}" for dist in _BUILD.values())


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent package of a dotted name
        return False
