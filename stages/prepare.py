"""`python -m stages.prepare DATASET`: data/DATASET, read or generated, split and checked."""

from pathlib import Path

from edgesmith.data.sources import prepare_dataset
from edgesmith.errors import ParamsError
from edgesmith.params import load_params
from stages._run import main


def prepare(name: str) -> None:
    params = load_params()
    if name not in params.datasets:
        known = ", ".join(params.datasets)
        raise ParamsError(f"params.yaml: datasets.{name} is not defined; known: {known}")
    index = prepare_dataset(name, params.datasets[name], params.seed, Path("data") / name)
    counts = ", ".join(f"{count} {split}" for split, count in index.counts.items())
    print(f"data/{name}: {len(index.labels)} classes; {counts}")


if __name__ == "__main__":
    main(prepare)
