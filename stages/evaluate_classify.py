"""Accuracy of an artifact on the test split.

artifacts/<variant>/<format>, data, models/<variant>/reference.safetensors
-> metrics/accuracy/<variant>.<format>.json; of ONNX also the confusions, metrics/plots/…png
"""

from pathlib import Path

from safetensors.numpy import load_file

from edgesmith import files
from edgesmith.data.classify.store import load_split
from edgesmith.params import load_params
from edgesmith.report import accuracy
from edgesmith.report.classify.assess import assess
from edgesmith.runtimes.session import load, predict
from stages._run import main


def run(variant: str, format_name: str) -> None:
    params = load_params()
    artifact = Path("artifacts") / variant / format_name
    session = load(artifact, params.runtime.threads, params.runtime.providers)
    folder = Path("data") / params.variants[variant].dataset
    split = load_split(folder, "test", session.contract.input.preprocess)
    logits = predict(session, split.images)
    record = assess(
        session.contract,
        logits,
        split.labels,
        load_file(Path("models") / variant / "reference.safetensors"),
        runtime=session.engine,
        providers=session.providers,
        threads=session.threads,
    )
    accuracy.write(record, Path(f"metrics/accuracy/{variant}.{format_name}.json"))
    if format_name == "onnx":
        # matplotlib takes as long to import as other formats are evaluated in.
        from edgesmith.report.classify.plot import confusion_png  # noqa: PLC0415

        labels, title = session.contract.labels, f"{variant}, ONNX"
        picture = confusion_png(logits, split.labels, labels, title)
        files.write_bytes(Path(f"metrics/plots/{variant}.onnx.png"), picture)


if __name__ == "__main__":
    main(run)
