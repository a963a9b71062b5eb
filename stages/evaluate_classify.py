"""Accuracy of an artifact on the test split.

artifacts/<variant>/<format>, data, models/<variant>/reference.safetensors
-> metrics/accuracy/<variant>.<format>.json
"""

from pathlib import Path

from safetensors.numpy import load_file

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
    record = assess(
        session.contract,
        predict(session, split.images),
        split.labels,
        load_file(Path("models") / variant / "reference.safetensors"),
        runtime=session.engine,
        providers=session.providers,
        threads=session.threads,
    )
    accuracy.write(record, Path(f"metrics/accuracy/{variant}.{format_name}.json"))


if __name__ == "__main__":
    main(run)
