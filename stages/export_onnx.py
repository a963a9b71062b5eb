"""Write a variant as ONNX, for ONNX Runtime and for TensorRT: models/ -> artifacts/<variant>/."""

from pathlib import Path

from edgesmith import contract as contracts
from edgesmith.data.store import load_split
from edgesmith.files import output_folder
from edgesmith.formats import onnx, parity
from edgesmith.params import load_params
from edgesmith.preprocess import UInt8Array
from edgesmith.runtimes import onnxruntime
from edgesmith.runtimes.session import predict
from edgesmith.tasks.classify.store import load_reference
from stages._run import main


def run(variant: str) -> None:
    params = load_params()
    model, count = Path("models") / variant, params.export.parity_images
    reference = load_reference(model)["self"][:count]
    traced = onnx.trace(model, params.export, dynamic=False)
    # TensorRT builds for one shape; a free batch would need an optimization profile.
    free = params.export.batch == "dynamic"
    first = onnx.trace(model, params.export, dynamic=True) if free else traced
    targets: tuple[onnx.Target, ...] = ("onnxruntime", "tensorrt")
    for target, graph in zip(targets, (first, traced), strict=True):
        name = "onnx" if target == "onnxruntime" else "onnx-trt"
        with output_folder(Path("artifacts") / variant / name) as folder:
            written = onnx.write(graph, folder, target)
            described = written.description
            test = load_split(
                Path("data") / params.variants[variant].dataset, "test", described.input.preprocess
            )
            session = onnxruntime.load(folder, described, params.build_threads, ["cpu"])
            logits = predict(session, test.images[:count])
            tolerance = getattr(params.tolerances, described.precision)
            measured = parity.measure(
                logits, reference, test.labels[:count], f"models/{variant}", tolerance
            )
            images, values, file = test.images[:16], written.layers, folder / onnx.FILE
            parity.check(
                measured,
                tolerance,
                f"artifacts/{variant}/{name}",
                lambda: _rank(model, file, values, images),  # noqa: B023
            )
            contracts.write(contracts.prove(described, measured), folder)
        print(f"artifacts/{variant}/{name}: {measured.sqnr_db} dB, agreement {measured.agreement}")


def _rank(
    model: Path, file: Path, values: dict[str, str], images: UInt8Array
) -> list[tuple[str, float]]:
    if not values:
        return []
    # Simulating needs torchao, 0.7 s to import; only a failed gate does.
    from edgesmith.formats import layers  # noqa: PLC0415

    return layers.rank(model, file, values, images)


if __name__ == "__main__":
    main(run)
