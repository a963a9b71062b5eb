"""Train a variant with a teacher's soft targets: models/<parent>, <teacher> -> models/<variant>."""

from edgesmith.compress.distill.step import distill
from edgesmith.compress.variant import begin
from edgesmith.params import load_params
from stages._run import main


def run(variant: str) -> None:
    distill(begin(variant, load_params()))


if __name__ == "__main__":
    main(run)
