"""NNCF's `nncf.quantize` on an ONNX model.

Options: `fast_bias_correction`, and `per_channel_activations`: null as it decides itself (a scale
per channel before depthwise convolutions), or false. Preset `mixed` (symmetric weights, asymmetric
activations), target device CPU, and every calibration image, as "Basic Quantization Flow" in
OpenVINO's documentation has it; everything else stays at its default.
"""

from __future__ import annotations

import nncf
import onnx
from nncf.quantization.advanced_parameters import QuantizationParameters

from benchmarks.peers.tools.request import Request, serve


def quantize(request: Request) -> None:
    """Write the quantized model; its input and output stay float."""
    images = nncf.Dataset(list(request.images), lambda image: {request.input: image[None]})
    per_channel = request.options["per_channel_activations"]
    quantized = nncf.quantize(
        onnx.load(str(request.model)),
        images,
        preset=nncf.QuantizationPreset.MIXED,
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(request.images),
        fast_bias_correction=request.options["fast_bias_correction"],
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_quantization_params=QuantizationParameters(per_channel=per_channel)
        ),
    )
    onnx.save(quantized, str(request.output))


if __name__ == "__main__":
    serve(quantize, "nncf", "onnx", "onnxruntime")
