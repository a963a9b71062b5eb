"""The step `quantize`: calibrate ranges (PTQ), learn them (QAT), or climb from one to the other."""

from __future__ import annotations

from pathlib import Path

from edgesmith import files
from edgesmith.compress.quantize import ranges, rungs
from edgesmith.compress.quantize.biases import round_biases
from edgesmith.compress.quantize.graph import calibrate, read_ranges, read_weight_scales, simulate
from edgesmith.compress.quantize.ladder import climb
from edgesmith.compress.quantize.learned import fold, learn
from edgesmith.compress.quantize.quantized import Quantized
from edgesmith.compress.variant import Work, no_images, wrong_step
from edgesmith.errors import ModelError
from edgesmith.params import QuantizeVariant
from edgesmith.preprocess import UInt8Array


def quantize(work: Work) -> None:
    """Fold the parent's batch normalisation, find ranges by the variant's method, and store all.

    What is stored are float weights without normalisation layers, `quantization.json` and, for the
    method `ladder`, `ladder.json`; every format rounds those weights and renders those ranges.
    """
    variant = work.variant
    if not isinstance(variant, QuantizeVariant):
        raise wrong_step(work, "quantize")
    if work.parent.precision != "fp32":
        raise ModelError(
            f"params.yaml: variants.{work.name}.parent: {variant.parent} is "
            f"{work.parent.precision} already; quantize an fp32 variant"
        )
    calibration = work.split("calibration")
    if not len(calibration):
        raise no_images(variant.dataset, "calibration")
    if variant.method == "ladder":
        done = climb(work, variant, calibration.images)
    elif variant.method == "qat":
        done = learn(work, variant, work.net, calibration.images)
    else:
        done = _calibrated(work, variant, calibration.images)
    found = ranges.Quantization(
        method=done.method,
        scheme=variant.scheme,
        observer=done.observer,
        images=len(calibration),
        activations=read_ranges(done.graph),
        weights=read_weight_scales(done.graph),
        float_layers=done.float_layers,
    )
    round_biases(done.net, done.graph, found)

    def write_more(folder: Path) -> None:
        files.write_json(folder / ranges.FILE, found.model_dump(mode="json"))
        if done.ladder is not None:
            rungs.write(done.ladder, folder)

    schedule = work.schedule.model_dump()
    work.finish(
        done.net,
        {"schedule": schedule, "phases": done.histories} if done.histories else {},
        simulated=done.graph,
        batch_norm_folded=True,
        precision="mixed" if done.float_layers else "int8",
        write_more=write_more,
    )


def _calibrated(work: Work, variant: QuantizeVariant, calibration: UInt8Array) -> Quantized:
    """PTQ: the parent's weights with ranges of the calibration images."""
    fold(work, work.net)
    graph = simulate(work.net.eval(), work.data.spec, variant.scheme)
    calibrate(graph, calibration, work.data.spec, variant.observer, variant.percentile)
    return Quantized(work.net, graph, "ptq", variant.observer)
