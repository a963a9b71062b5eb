"""Write a variant as TFLite: models/ -> artifacts/<variant>/tflite."""

import time
from pathlib import Path

from edgesmith.files import output_folder
from edgesmith.formats import gate, tflite
from edgesmith.formats.parity import Ranking
from edgesmith.params import load_params
from edgesmith.preprocess import UInt8Array
from edgesmith.report import cost
from edgesmith.tasks.task import task_of
from stages._run import main


def run(variant: str) -> None:
    started = time.perf_counter()
    params = load_params()
    model, artifact = Path("models") / variant, Path("artifacts") / variant / "tflite"
    converted = tflite.convert(model)
    data = Path("data") / params.variants[variant].dataset
    card = converted.card
    images = task_of(card.task).load_split(data, "calibration", card.network.input).images
    with output_folder(artifact) as folder:
        described = tflite.write(converted, folder, images)

        def rank(images: UInt8Array) -> Ranking:
            if described.precision not in {"int8", "mixed"}:
                return []
            # Simulating needs torchao, 0.7 s to import; only a failed gate does.
            from edgesmith.formats import tflite_layers  # noqa: PLC0415

            return tflite_layers.rank(model, folder / tflite.FILE, described, images)

        gate.admit(artifact, folder, described, params, rank)
    cost.write(variant, "tflite", time.perf_counter() - started)


if __name__ == "__main__":
    main(run)
