"""What this machine can run and build, and what to install for the rest."""

from __future__ import annotations

import importlib.util
from importlib import metadata

from edgesmith.device import fingerprint
from edgesmith.errors import RuntimeUnavailableError

# Importable name and distribution of what the build side cannot do without.
_BUILD = {
    "torch": "torch",
    "torchao": "torchao",
    "torch_pruning": "torch-pruning",
    "timm": "timm",
    "onnx": "onnx",
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
        "run onnx": _onnxruntime(),
        "run ncnn": _ncnn(),
        "build": _build(),
    }


def _onnxruntime() -> str:
    try:
        from edgesmith.runtimes import onnxruntime  # noqa: PLC0415 (may be missing, as reported)
    except ModuleNotFoundError:
        return "no: pip install edgesmith[device-onnx]"
    except (ImportError, RuntimeUnavailableError) as error:
        return f"no: ONNX Runtime is installed but cannot be imported ({error})"
    available = ", ".join(onnxruntime.available_providers())
    return f"yes: {onnxruntime.ENGINE}; providers {available}"


def _ncnn() -> str:
    try:
        from edgesmith.runtimes import ncnn  # noqa: PLC0415 (may be missing, as reported)
    except ModuleNotFoundError:
        return "no: pip install edgesmith[device-ncnn]"
    except ImportError as error:
        return f"no: ncnn is installed but cannot be imported ({error})"
    return f"yes: {ncnn.ENGINE}; providers cpu"


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
