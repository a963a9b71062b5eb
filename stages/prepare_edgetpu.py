"""Write what the Edge TPU's compiler takes, and compare it with the TFLite artifact.

artifacts/<variant>/tflite, data -> artifacts/<variant>/edgetpu-input, metrics/edgetpu/….input.json
"""

from pathlib import Path

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.files import output_folder
from edgesmith.formats import edgetpu
from edgesmith.params import load_params
from edgesmith.tasks.task import task_of
from stages._run import main


def run(variant: str, dataset: str) -> None:
    params = load_params()
    source = Path("artifacts") / variant / "tflite"
    contract = contracts.read(source)
    load = task_of(contract.task).load_split
    split = load(Path("data") / dataset, "test", contract.input.preprocess)
    tolerance = getattr(params.tolerances, contract.task).int8
    with output_folder(Path("artifacts") / variant / "edgetpu-input") as folder:
        made = edgetpu.prepare(source, folder, split, tolerance)
    files.write_json(Path(f"metrics/edgetpu/{variant}.input.json"), made._asdict())
    print(
        f"artifacts/{variant}/edgetpu-input: {made.value:.4f}, as TFLite "
        f"{made.value_of_tflite:.4f}; {made.on_edgetpu} of {made.operators} operators would be on "
        f"the Edge TPU, {made.refused} refused"
    )


if __name__ == "__main__":
    main(run)
