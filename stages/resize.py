"""Take a detector with another input size: models/<parent>, data -> models/<variant>."""

from edgesmith.compress.resize.step import resize
from edgesmith.compress.variant import begin
from edgesmith.params import load_params
from stages._run import main


def run(variant: str) -> None:
    resize(begin(variant, load_params()))


if __name__ == "__main__":
    main(run)
