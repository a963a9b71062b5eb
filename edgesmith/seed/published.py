"""What the report says: MobileNetV2 (ImageNet, 224 px) on a Raspberry Pi 5 with AI Kit, 2025-11.

Other hardware and another network than here: shown beside what is measured, never mixed with it.
"""

from __future__ import annotations

from typing import NamedTuple

WHERE = "published (Raspberry Pi 5)"


class Row(NamedTuple):
    """One row of the report's table: the key of its cell, and its frames per second."""

    key: str
    framework: str
    precision: str
    jit: str
    fps: float | None


# LiteRT and ncnn are ours: the report has no figure for them.
ROWS = (
    Row("torch-eager-fp32", "PyTorch", "FP32", "off", 12.2),
    Row("torch-torchscript-fp32", "PyTorch", "FP32", "on", 11.1),
    Row("torch-eager-int8", "PyTorch", "INT8", "off", 52.9),
    Row("torch-torchscript-int8", "PyTorch", "INT8", "on", 73.3),
    Row("onnx-fp32", "ONNX Runtime", "FP32", "–", 62.8),
    Row("onnx-int8", "ONNX Runtime", "INT8", "–", 143.5),
    Row("tflite-fp32", "LiteRT", "FP32", "–", None),
    Row("tflite-int8", "LiteRT", "INT8", "–", None),
    Row("ncnn-fp32", "ncnn", "FP32", "–", None),
    Row("ncnn-int8", "ncnn", "INT8", "–", None),
    Row("hailo-cli", "Hailo NPU, hailortcli run", "INT8", "–", 1736.0),
    Row("hef-int8", "Hailo NPU, Python API", "INT8", "–", 1523.0),
)
FPS = {row.key: row.fps for row in ROWS}


class Claim(NamedTuple):
    """A ratio that the report draws, or that belongs beside it: `faster` over `slower`."""

    text: str
    faster: str
    slower: str


CLAIMS = (
    Claim("PyTorch, INT8 over FP32", "torch-eager-int8", "torch-eager-fp32"),
    Claim("PyTorch, INT8 with JIT over FP32", "torch-torchscript-int8", "torch-eager-fp32"),
    Claim("PyTorch FP32, JIT over none", "torch-torchscript-fp32", "torch-eager-fp32"),
    Claim("ONNX Runtime over PyTorch, FP32", "onnx-fp32", "torch-eager-fp32"),
    Claim("ONNX Runtime, INT8 over FP32", "onnx-int8", "onnx-fp32"),
    Claim("ONNX Runtime INT8 over PyTorch FP32", "onnx-int8", "torch-eager-fp32"),
    Claim("LiteRT, INT8 over FP32", "tflite-int8", "tflite-fp32"),
    Claim("ncnn, INT8 over FP32", "ncnn-int8", "ncnn-fp32"),
    Claim("NPU over PyTorch FP32", "hailo-cli", "torch-eager-fp32"),
    Claim("NPU over ONNX Runtime INT8", "hailo-cli", "onnx-int8"),
)


def published_ratio(claim: Claim) -> float | None:
    """What the report's own figures give; None where it has not both."""
    faster, slower = FPS[claim.faster], FPS[claim.slower]
    return faster / slower if faster and slower else None
