"""Write a variant as NCNN: models/<variant>/ -> artifacts/<variant>/ncnn."""

import time
from pathlib import Path

from edgesmith.files import output_folder
from edgesmith.formats import gate, ncnn
from edgesmith.formats.parity import Ranking
from edgesmith.params import load_params
from edgesmith.preprocess import UInt8Array
from edgesmith.report import cost
from stages._run import main


def run(variant: str) -> None:
    started = time.perf_counter()
    model, artifact = Path("models") / variant, Path("artifacts") / variant / "ncnn"
    with output_folder(artifact) as folder:
        written = ncnn.export(model, folder)

        def rank(images: UInt8Array) -> Ranking:
            if not written.blobs:
                return []
            from edgesmith.formats import ncnn_layers  # noqa: PLC0415 (only a failed gate does)

            return ncnn_layers.rank(model, folder, written.blobs, images)

        gate.admit(artifact, folder, written.description, load_params(), rank)
    cost.write(variant, "ncnn", time.perf_counter() - started)


if __name__ == "__main__":
    main(run)
