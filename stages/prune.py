"""Remove channels and fine-tune: models/<parent> -> models/<variant>."""

from edgesmith.compress.prune.step import prune
from edgesmith.compress.variant import begin
from edgesmith.params import load_params
from stages._run import main


def run(variant: str) -> None:
    prune(begin(variant, load_params()))


if __name__ == "__main__":
    main(run)
