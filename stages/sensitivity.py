"""Which layers suffer from 8 bits.

models/<variant>, data -> metrics/sensitivity/<variant>.{json,png}
"""

from pathlib import Path

import torch

from edgesmith import files
from edgesmith.compress.quantize import ranges, rungs
from edgesmith.compress.quantize.graph import evenly, give_ranges, simulate
from edgesmith.compress.quantize.sensitivity import measure
from edgesmith.errors import DataError, ParamsError
from edgesmith.params import load_params
from edgesmith.report import sensitivity as report
from edgesmith.report.sensitivity_plot import sensitivity_png
from edgesmith.tasks import store
from edgesmith.tasks.task import task_of
from stages._run import main


def run(variant: str) -> None:
    params = load_params()
    if variant not in params.sensitivity:
        raise ParamsError(f"params.yaml: sensitivity.{variant} is not defined; add it")
    rule = params.sensitivity[variant]
    torch.set_num_threads(params.build_threads)
    model, data = Path("models") / variant, Path("data") / rule.dataset
    (net, card), found = store.load(model), ranges.read(model)
    spec = card.network.input
    calibration = task_of(card.task).load_split(data, "calibration", spec)
    images = evenly(calibration.images, rule.images)
    if not len(images):
        raise DataError(f"{data}: its calibration split has no image; give it some")
    graph = simulate(net, spec, found.scheme, found.float_layers)
    give_ranges(graph, found.activations)
    climbed = rungs.read(model)
    record = report.Sensitivity(
        variant=variant,
        images=len(images),
        layers={key: level.model_dump() for key, level in measure(graph, images, spec).items()},
        float_layers=dict.fromkeys(found.float_layers, "float"),
        ladder=climbed and climbed.model_dump(exclude_none=True),
    )
    report.write(record)
    files.write_bytes(report.FOLDER / f"{variant}.png", sensitivity_png(record))


if __name__ == "__main__":
    main(run)
