"""Average precision of a detector's artifact on the test split.

artifacts/<variant>/<format>, data, models/<variant>/reference.safetensors
-> metrics/accuracy/<variant>.<format>.json
"""

from pathlib import Path

from safetensors.numpy import load_file

from edgesmith.data.detect.store import load_scenes
from edgesmith.params import load_params
from edgesmith.report import accuracy
from edgesmith.report.detect.assess import assess, decode_all
from edgesmith.report.detect.metric import Truth
from edgesmith.runtimes.session import load, predict
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
    record = assess(
        contract,
        decode_all(contract, predictions),
        [Truth(*pair) for pair in zip(split.boxes, split.classes, strict=True)],
        {name: decode_all(contract, given) for name, given in references.items()},
        runtime=session.engine,
        providers=session.providers,
        threads=session.threads,
        sqnr_db=None if parent is None else accuracy.sqnr_db(predictions, parent),
    )
    accuracy.write(record, Path(f"metrics/accuracy/{variant}.{format_name}.json"))


if __name__ == "__main__":
    main(run)
