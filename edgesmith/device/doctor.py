"""What this machine can run and build, how it is set up, and what to install for the rest."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from importlib import metadata

from edgesmith.device import fingerprint, settings
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.hef import preflight
from edgesmith.hef.archs import HAILORT_MAJOR
from edgesmith.hef.errors import HailoError
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
        **{f"setting {found.name}": found.words for found in settings.examine()},
        **{f"run {name}": _runs(name) for name in ENGINES},
        "build": _build(),
        **_accelerators(),
    }


def _accelerators() -> dict[str, str]:
    """What can be built and checked for accelerators, and what for."""
    linter = "pip install edgesmith[build]"
    return {
        "lint onnx-trt": _package("onnx", "onnx", linter),
        "lint onnx-trt --build": _package(
            "tensorrt_rtx",
            "tensorrt-rtx",
            "pip install edgesmith[tensorrt-lint] (x86-64 Linux, 1.7.1 or newer)",
        ),
        "build engine": _engine(),
        "measure engine (trtexec)": _command(
            "trtexec", "apt-get install libnvinfer-bin on the Jetson", "/usr/src/tensorrt/bin"
        ),
        "lint tflite": _package("ai_edge_litert", "ai-edge-litert", linter),
        "prepare hef": _package("onnxslim", "onnxslim", linter),
        "build hef": _package(
            "hailo_sdk_client",
            "hailo-dataflow-compiler",
            "3.x for Hailo-8 and 8L, 5.x for 10H and 15, of Hailo's developer zone; may be another "
            "Python, a Docker image or another machine (toolchains/hailo/params.yaml)",
        ),
        "measure hef (hailortcli)": _hailortcli(),
        "build edgetpu": _command(
            "edgetpu_compiler",
            "16.0 is the last, for x86-64 Debian and Ubuntu: coral.ai/docs/edgetpu/compiler",
        ),
    }


def _package(module: str, distribution: str, remedy: str) -> str:
    if not _importable(module):
        return f"no: {distribution} missing; {remedy}"
    return f"yes: {distribution} {metadata.version(distribution)}"


def _engine() -> str:
    """Whether engines are built here: by the module that runs them, for TensorRT is no wheel."""
    found = _runs("engine")
    if found.startswith("yes"):
        return f"{found}; 10.3 or newer is needed"
    return (
        f"{found}; TensorRT 10.3 or newer is needed, on the device that runs the engine: "
        "it comes with JetPack 6.1"
    )


def _hailortcli() -> str:
    """Its version, and which HEFs belong to it."""
    try:
        version = preflight.library_version()
    except HailoError as error:
        return f"no: {error}; 4.x takes HEFs of Dataflow Compiler 3.x, 5.x of 5.x"
    compiler = next((k for k, v in HAILORT_MAJOR.items() if version.startswith(f"{v}.")), None)
    takes = f"; takes HEFs of Dataflow Compiler {compiler}.x" if compiler else ""
    return f"yes: hailortcli {version}{takes}"


def _command(name: str, remedy: str, elsewhere: str = "") -> str:
    found = shutil.which(name) or shutil.which(name, path=elsewhere or None)
    return f"yes: {found}" if found else f"no: {name} is not on the PATH; {remedy}"


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
        return f"no: {error}"
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
