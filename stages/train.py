"""Train a variant from its parent's weights: models/<parent> -> models/<variant>."""

from edgesmith.compress.train.step import train
from edgesmith.compress.variant import begin
from edgesmith.params import load_params
from stages._run import main


def run(variant: str) -> None:
    train(begin(variant, load_params()))


if __name__ == "__main__":
    main(run)
