"""Write a variant as NCNN: models/<variant>/ -> artifacts/<variant>/ncnn."""

from pathlib import Path

from edgesmith import contract as contracts
from edgesmith.data.store import load_split
from edgesmith.files import output_folder
from edgesmith.formats import ncnn, parity
from edgesmith.params import load_params
from edgesmith.preprocess import UInt8Array
from edgesmith.runtimes import ncnn as runtime
from edgesmith.runtimes.session import predict
from edgesmith.tasks.classify.store import load_reference
from stages._run import main


def run(variant: str) -> None:
    params = load_params()
    model, count = Path("models") / variant, params.export.parity_images
    reference = load_reference(model)["self"][:count]
    with output_folder(Path("artifacts") / variant / "ncnn") as folder:
        written = ncnn.export(model, folder)
        described = written.description
        test = load_split(
            Path("data") / params.variants[variant].dataset, "test", described.input.preprocess
        )
        session = runtime.load(folder, described, params.build_threads, ["cpu"])
        logits = predict(session, test.images[:count])
        tolerance = getattr(params.tolerances, described.precision)
        measured = parity.measure(
            logits, reference, test.labels[:count], f"models/{variant}", tolerance
        )
        name = f"artifacts/{variant}/ncnn"
        parity.check(
            measured,
            tolerance,
            name,
            lambda: _rank(model, folder, written.blobs, test.images[:16]),
        )
        contracts.write(contracts.prove(described, measured), folder)
    print(f"{name}: {measured.sqnr_db} dB, agreement {measured.agreement}")


def _rank(
    model: Path, artifact: Path, blobs: dict[str, ncnn.Blob], images: UInt8Array
) -> list[tuple[str, float]]:
    if not blobs:
        return []
    from edgesmith.formats import ncnn_layers  # noqa: PLC0415 (only a failed gate needs it)

    return ncnn_layers.rank(model, artifact, blobs, images)


if __name__ == "__main__":
    main(run)
