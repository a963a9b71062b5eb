"""Round weights to half precision: models/<parent> -> models/<variant>."""

from edgesmith.compress.cast.step import cast
from edgesmith.compress.variant import begin
from edgesmith.params import load_params
from stages._run import main


def run(variant: str) -> None:
    cast(begin(variant, load_params()))


if __name__ == "__main__":
    main(run)
