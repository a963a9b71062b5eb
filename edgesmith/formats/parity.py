"""The gate at export: an artifact, run by its own runtime, against the graph it came from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from edgesmith.boxes import Boxes
from edgesmith.contract import Parity
from edgesmith.errors import ParityError
from edgesmith.params import Task, Tolerance
from edgesmith.report.accuracy import sqnr_db
from edgesmith.tasks.learning import Images
from edgesmith.tasks.task import task_of

Float32Array = npt.NDArray[np.float32]
# (layer, signal-to-noise ratio in dB) of the layers, worst first.
Ranking = list[tuple[str, float]]


def measure(
    artifact: Float32Array,
    reference: Float32Array,
    split: Images,
    task: Task,
    boxes: Boxes | None,
    against: str,
    tolerance: Tolerance,
) -> Parity:
    """How far an artifact's outputs are from those of the graph that it came from (`against`).

    Both are what `predict` gives for the images of `split`; `boxes` is how a detector's are read.
    """
    judge = task_of(task)
    flat = artifact.ravel().astype(np.float64), reference.ravel().astype(np.float64)
    norm = float(np.linalg.norm(flat[0]) * np.linalg.norm(flat[1]))
    own, expected = (judge.metric(outputs, split, boxes) for outputs in (artifact, reference))
    return Parity(
        against=against,
        images=len(split),
        max_abs_diff=float(np.abs(artifact - reference).max()),
        sqnr_db=round(float(sqnr_db(artifact, reference)), 3),
        cosine=round(float(flat[0] @ flat[1]) / norm, 8) if norm else 0.0,
        agreement=judge.agreement(artifact, reference, split, boxes),
        metric_drop=expected - own,
        tolerance=tolerance.model_dump(),
    )


def check(
    parity: Parity, tolerance: Tolerance, name: str, rank_layers: Callable[[], Ranking]
) -> None:
    """Raise ParityError, with the layers that differ most, unless `parity` is within `tolerance`.

    `rank_layers` is only called on failure: it runs both networks again, layer by layer.
    """
    noise = parity.sqnr_db if parity.sqnr_db is not None else float("inf")
    drop = parity.metric_drop if parity.metric_drop is not None else 0.0
    faults = [
        text
        for broken, text in (
            (
                not parity.max_abs_diff <= tolerance.max_abs_diff,
                f"max_abs_diff is {parity.max_abs_diff:.4g}, above {tolerance.max_abs_diff:g}",
            ),
            (
                not noise >= tolerance.min_sqnr_db,
                f"sqnr_db is {noise:.1f}, below {tolerance.min_sqnr_db:g}",
            ),
            (
                not parity.agreement >= tolerance.min_agreement,
                f"agreement is {parity.agreement:.4f}, below {tolerance.min_agreement:g}",
            ),
            (
                not drop <= tolerance.max_metric_drop,
                f"metric_drop is {drop:.4f}, above {tolerance.max_metric_drop:g}",
            ),
        )
        if broken
    ]
    if not faults:
        return
    worst = "\n".join(f"  {level:7.1f} dB  {layer}" for layer, level in rank_layers()[:10])
    raise ParityError(
        f"{name} differs from {parity.against} on {parity.images} images: {'; '.join(faults)} "
        f"(params.yaml: tolerances). Layers by signal-to-noise ratio, worst first:\n"
        f"{worst or '  (this precision is compared at its output alone)'}\n"
        "Quantize another way (variants: observer, method: qat), or widen the tolerance "
        "if this difference is acceptable."
    )
