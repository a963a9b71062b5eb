"""Write a variant as ONNX, for ONNX Runtime and for TensorRT: models/ -> artifacts/<variant>/."""

import time
from pathlib import Path

from edgesmith.files import output_folder
from edgesmith.formats import gate, onnx
from edgesmith.formats.parity import Ranking
from edgesmith.params import load_params
from edgesmith.preprocess import UInt8Array
from edgesmith.report import cost
from stages._run import main


def run(variant: str) -> None:
    started = time.perf_counter()
    params = load_params()
    model = Path("models") / variant
    traced = onnx.trace(model, params.export, dynamic=False)
    # TensorRT builds for one shape; a free batch would need an optimization profile.
    free = params.export.batch == "dynamic"
    first = onnx.trace(model, params.export, dynamic=True) if free else traced
    targets: tuple[onnx.Target, ...] = ("onnxruntime", "tensorrt")
    for target, graph in zip(targets, (first, traced), strict=True):
        artifact = Path("artifacts") / variant / ("onnx" if target == "onnxruntime" else "onnx-trt")
        with output_folder(artifact) as folder:
            written = onnx.write(graph, folder, target)

            def rank(images: UInt8Array) -> Ranking:
                return _rank(model, folder / onnx.FILE, written.layers, images)  # noqa: B023

            gate.admit(artifact, folder, written.description, params, rank)
    cost.write(variant, "onnx", time.perf_counter() - started)


def _rank(model: Path, file: Path, values: dict[str, str], images: UInt8Array) -> Ranking:
    if not values:
        return []
    # Simulating needs torchao, 0.7 s to import; only a failed gate does.
    from edgesmith.formats import layers  # noqa: PLC0415

    return layers.rank(model, file, values, images)


if __name__ == "__main__":
    main(run)
