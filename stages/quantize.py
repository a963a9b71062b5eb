"""Calibrate or learn integer ranges: models/<parent>, data -> models/<variant>."""

from edgesmith.compress.quantize.step import quantize
from edgesmith.compress.variant import begin
from edgesmith.params import load_params
from stages._run import main


def run(variant: str) -> None:
    quantize(begin(variant, load_params()))


if __name__ == "__main__":
    main(run)
