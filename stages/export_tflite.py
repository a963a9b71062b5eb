"""Write a variant as TFLite: models/ -> artifacts/<variant>/tflite."""

from pathlib import Path

from edgesmith import contract as contracts
from edgesmith.contract import Description
from edgesmith.data.store import load_split
from edgesmith.files import output_folder
from edgesmith.formats import parity, tflite
from edgesmith.params import load_params
from edgesmith.preprocess import UInt8Array
from edgesmith.runtimes import litert
from edgesmith.runtimes.session import predict
from edgesmith.tasks.classify.store import load_reference
from stages._run import main


def run(variant: str) -> None:
    params = load_params()
    model, count = Path("models") / variant, params.export.parity_images
    data = Path("data") / params.variants[variant].dataset
    converted = tflite.convert(model)
    spec = converted.card.network.input
    test = load_split(data, "test", spec)
    name = f"artifacts/{variant}/tflite"
    with output_folder(Path(name)) as folder:
        described = tflite.write(converted, folder, load_split(data, "calibration", spec).images)
        session = litert.load(folder, described, params.build_threads, ["cpu"])
        measured = parity.measure(
            predict(session, test.images[:count]),
            load_reference(model)["self"][:count],
            test.labels[:count],
            f"models/{variant}",
            tolerance := getattr(params.tolerances, described.precision),
        )
        file, images = folder / tflite.FILE, test.images[:16]
        parity.check(measured, tolerance, name, lambda: _rank(model, file, described, images))
        contracts.write(contracts.prove(described, measured), folder)
    print(f"{name}: {measured.sqnr_db} dB, agreement {measured.agreement}")


def _rank(
    model: Path, file: Path, described: Description, images: UInt8Array
) -> list[tuple[str, float]]:
    if described.precision != "int8":
        return []
    # Simulating needs torchao, 0.7 s to import; only a failed gate does.
    from edgesmith.formats import tflite_layers  # noqa: PLC0415

    return tflite_layers.rank(model, file, described, images)


if __name__ == "__main__":
    main(run)
