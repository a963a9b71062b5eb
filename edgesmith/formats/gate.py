"""From a written artifact to a proven one: run it, compare it with its parent, sign it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgesmith import contract as contracts
from edgesmith.contract import Description
from edgesmith.formats import parity
from edgesmith.formats.parity import Ranking
from edgesmith.params import Params
from edgesmith.preprocess import UInt8Array
from edgesmith.runtimes.session import engine, predict
from edgesmith.tasks.store import load_reference
from edgesmith.tasks.task import task_of

_RANKED_IMAGES = 16


def admit(
    artifact: Path,
    folder: Path,
    description: Description,
    params: Params,
    rank_layers: Callable[[UInt8Array], Ranking],
) -> None:
    """Write the contract into `folder`, which holds what will be `artifact`, if it is near enough.

    Its own runtime runs it on the first images of the test split. Raises ParityError when it is
    outside the tolerance of its precision; `rank_layers` then gets (N, H, W, 3) uint8 images.
    """
    model = Path("models") / description.variant
    count = params.export.parity_images
    data = Path("data") / params.variants[description.variant].dataset
    load = task_of(description.task).load_split
    chosen = load(data, "test", description.input.preprocess, first=count)
    session = engine(folder, description).load(folder, description, params.build_threads, ["cpu"])
    # Mixed artifacts are integer ones with a few layers in float.
    precision = "int8" if description.precision == "mixed" else description.precision
    tolerance = getattr(getattr(params.tolerances, description.task), precision)
    measured = parity.measure(
        predict(session, chosen.images),
        load_reference(model)["self"][:count],
        chosen,
        description.task,
        description.boxes,
        str(model),
        tolerance,
    )
    ranked = chosen.images[:_RANKED_IMAGES]
    parity.check(measured, tolerance, str(artifact), lambda: rank_layers(ranked))
    contracts.write(contracts.prove(description, measured), folder)
    print(f"{artifact}: {measured.sqnr_db} dB, agreement {measured.agreement}")
