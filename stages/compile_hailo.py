"""Compile a bundle: artifacts/<variant>/hailo-bundle, data -> artifacts/<variant>/hef."""

import tempfile
from pathlib import Path

from edgesmith.files import output_folder
from edgesmith.formats.hailo import admit, compiler, contents, settings
from edgesmith.tasks.task import task_of
from stages._run import main


def run(variant: str) -> None:
    wanted = settings.load()
    cell = settings.cell(wanted, variant)
    source, returned = Path("artifacts") / variant / "hailo-bundle", Path("tmp/hailo") / variant
    spec = contents.read(source).input.preprocess
    count = wanted.prepare.emulated_images
    split = task_of(cell.task).load_split(Path("data") / cell.dataset, "test", spec, first=count)
    model = Path("models") / variant
    with tempfile.TemporaryDirectory(prefix="hailo-") as work:
        found = compiler.compile_bundle(source, Path(work), returned, wanted.compile)
        with output_folder(Path("artifacts") / variant / "hef") as folder:
            signed = admit.admit(found, source, folder, model, split, wanted.compile)
    print(f"artifacts/{variant}/hef: metric drop {signed.parity.metric_drop:.4f}")


if __name__ == "__main__":
    main(run)
