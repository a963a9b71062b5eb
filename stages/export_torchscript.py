"""Write a variant as TorchScript: models/<variant>/ -> artifacts/<variant>/torchscript."""

import time
from pathlib import Path

from edgesmith.files import output_folder
from edgesmith.formats import gate, torchscript
from edgesmith.params import load_params
from edgesmith.report import cost
from stages._run import main


def run(variant: str) -> None:
    started = time.perf_counter()
    params = load_params()
    model, artifact = Path("models") / variant, Path("artifacts") / variant / "torchscript"
    with output_folder(artifact) as folder:
        written = torchscript.export(model, folder)
        gate.admit(
            artifact,
            folder,
            written.description,
            params,
            lambda images: torchscript.rank(model, written, images),
        )
    cost.write(variant, "torchscript", time.perf_counter() - started)


if __name__ == "__main__":
    main(run)
