"""Average precision of a detector's artifact on the test split.

artifacts/<variant>/<format>, data, models/<variant>/reference.safetensors
-> metrics/accuracy/<variant>.<format>.json; of ONNX also precision over recall, metrics/plots/…png
"""

from pathlib import Path

from safetensors.numpy import load_file

from edgesmith import files
from edgesmith.data.detect.store import load_scenes
from edgesmith.params import load_params
from edgesmith.report import accuracy
from edgesmith.report.detect.assess import assess, decode_all
from edgesmith.runtimes.session import load, predict
from edgesmith.scoring.detect import Truth
from stages._run import main


def run(variant: str, format_name: str) -> None:
    params = load_params()
    artifact = Path("artifacts") / variant / format_name
    session = load(artifact, params.runtime.threads, params.runtime.providers)
    contract = session.contract
    folder = Path("data") / params.variants[variant].dataset
    split = load_scenes(folder, "test", contract.input.preprocess)
    predictions = predict(session, split.images)
    references = load_file(Path("models") / variant / "reference.safetensors")
    parent = references.get("parent")
    found = decode_all(contract, predictions)
    truth = [Truth(*pair) for pair in zip(split.boxes, split.classes, strict=True)]
    others = {name: decode_all(contract, given) for name, given in references.items()}
    record = assess(
        contract,
        found,
        truth,
        others,
        runtime=session.engine,
        providers=session.providers,
        threads=session.threads,
        sqnr_db=None if parent is None else accuracy.sqnr_db(predictions, parent),
    )
    accuracy.write(record, Path(f"metrics/accuracy/{variant}.{format_name}.json"))
    if format_name == "onnx":
        # matplotlib takes as long to import as other formats are evaluated in.
        from edgesmith.report.detect.plot import pr_plot  # noqa: PLC0415

        curves = {variant: found} | {n: others[n] for n in ("parent", "baseline") if n in others}
        picture = pr_plot(curves, truth, len(contract.labels), f"{variant}, ONNX")
        files.write_bytes(Path(f"metrics/plots/{variant}.onnx.png"), picture)


if __name__ == "__main__":
    main(run)
