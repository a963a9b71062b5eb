"""AI Edge Quantizer's static quantization of a float .tflite file.

Options: `algorithm`, the key that its recipe `static_wi8_ai8` takes. Calibration as in its README:
the model's one signature, image by image.
"""

from __future__ import annotations

from ai_edge_quantizer import quantizer, recipe
from ai_edge_quantizer.algorithm_manager import AlgorithmName

from benchmarks.peers.tools.request import Request, serve


def quantize(request: Request) -> None:
    """Write the quantized model: int8 weights, activations, input and output."""
    tool = quantizer.Quantizer(str(request.model))
    tool.load_quantization_recipe(
        recipe.static_wi8_ai8(AlgorithmName[request.options["algorithm"]])
    )
    feeds = [{request.input: image[None]} for image in request.images]
    ranges = tool.calibrate({"serving_default": feeds}, num_threads=1)
    tool.quantize(ranges).export_model(str(request.output))


if __name__ == "__main__":
    serve(quantize, "ai-edge-quantizer", "ai-edge-litert")
