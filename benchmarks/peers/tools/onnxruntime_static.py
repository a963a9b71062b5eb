"""ONNX Runtime's `quantize_static` after its `quant_pre_process`.

Options: `calibrate` MinMax | Entropy | Percentile, `activations` QUInt8 | QInt8, `per_channel`,
`reduce_range`, `format` QDQ | QOperator. Practice: "Quantize ONNX Models" in ONNX Runtime's
documentation; everything that it does not name stays at its default.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.peers.tools.request import Request, serve


class _Images(CalibrationDataReader):  # type: ignore[misc] # untyped package
    def __init__(self, request: Request) -> None:
        self._feeds: Iterator[dict[str, Any]] = iter(
            [{request.input: image[None]} for image in request.images]
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def quantize(request: Request) -> None:
    """Write the quantized model; its input and output stay float."""
    options = request.options
    prepared = request.output.with_name("prepared.onnx")
    quant_pre_process(str(request.model), str(prepared))
    quantize_static(
        str(prepared),
        str(request.output),
        _Images(request),
        quant_format=QuantFormat[options["format"]],
        per_channel=options["per_channel"],
        reduce_range=options["reduce_range"],
        activation_type=QuantType[options["activations"]],
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod[options["calibrate"]],
    )
    prepared.unlink()


if __name__ == "__main__":
    serve(quantize, "onnxruntime", "onnx")
