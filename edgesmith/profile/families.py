"""What kind of work an operator does, by the name that any of the runtimes has for it."""

from __future__ import annotations

from typing import Literal

Family = Literal["weights", "add", "pool", "conversion", "other"]

# In this order: "QuantizeLinear" quantizes, "Linear" has weights.
_PARTS: tuple[tuple[Family, tuple[str, ...]], ...] = (
    (
        "conversion",
        (
            *("reorder", "transpose", "permute", "quantize", "convert", "cast", "packing"),
            *("aten::to", "_to_copy", "aten::copy_", "contiguous"),
        ),
    ),
    ("weights", ("conv", "gemm", "matmul", "fully connected", "innerproduct", "linear", "addmm")),
    ("add", ("add", "binaryop", "eltwise", "sum")),
    ("pool", ("pool", "mean", "reduction")),
)


def family(op: str) -> Family:
    """The family of an operator; `conversion` is all that only changes layout or data type."""
    lower = op.lower()
    # PyTorch's and ONNX Runtime's integer kernels are named for what they also do: mul, add, conv.
    if lower.startswith(("qlinear", "quantized::conv", "quantized::linear", "quantized::add")):
        lower = lower.replace("qlinear", "").replace("quantized::", "")
    return next((name for name, parts in _PARTS if any(p in lower for p in parts)), "other")
