"""Write what Hailo's compiler takes, and how far its part of the graph is from the whole.

models/<variant>, data -> artifacts/<variant>/hailo-bundle, metrics/hailo/<variant>.json
"""

from pathlib import Path

import numpy as np

from edgesmith import files
from edgesmith.files import output_folder
from edgesmith.formats.hailo import bundle, settings
from edgesmith.tasks import store
from edgesmith.tasks.task import task_of
from stages._run import main


def run(variant: str) -> None:
    wanted = settings.load()
    cell, rule = settings.cell(wanted, variant), wanted.prepare
    model, data = Path("models") / variant, Path("data") / cell.dataset
    spec = store.read_card(model).network.input
    load = task_of(cell.task).load_split
    calibration = load(data, "calibration", spec, first=rule.calibration_images).images
    missing = rule.calibration_images - len(calibration)
    if missing > 0:
        more = load(data, "train", spec, first=missing).images
        calibration = np.concatenate([calibration, more])
    emulated = load(data, "test", spec, first=rule.emulated_images).images
    with output_folder(Path("artifacts") / variant / "hailo-bundle") as folder:
        made = bundle.prepare(model, folder, rule, calibration, emulated)
    # DVC's table leaves out what is null: a classifier has no boxes.
    proof = made.proof.model_dump(mode="json", exclude_none=True)
    files.write_json(Path(f"metrics/hailo/{variant}.json"), proof)
    print(f"artifacts/{variant}/hailo-bundle: {made.proof}")


if __name__ == "__main__":
    main(run)
