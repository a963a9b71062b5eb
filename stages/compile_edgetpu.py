"""Compile what was prepared of a variant for the Edge TPU, where Google's compiler is.

artifacts/<variant>/edgetpu-input -> artifacts/<variant>/edgetpu, metrics/edgetpu/<variant>.json
"""

from pathlib import Path

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.contract import Contract
from edgesmith.edgetpu import compiler, mapping
from edgesmith.errors import ExportError
from stages._run import main


def run(variant: str) -> None:
    source, artifact = (Path("artifacts") / variant / name for name in ("edgetpu-input", "edgetpu"))
    compiler.find()
    expected = mapping.map_artifact(source)
    refused = [str(finding) for finding in expected.findings if finding.severity == "refused"]
    if refused:
        raise ExportError(f"{source}: the Edge TPU compiler takes no such model: {refused[0]}")
    contract = contracts.read(source)
    with files.output_folder(artifact) as folder:
        compiled = compiler.compile_model(contract.model_file(source, ".tflite"), folder)
        for log in folder.glob("*.log"):
            log.unlink()
        # No Edge TPU has run it yet: the parity is that of the .tflite file, and says so.
        against = f"{contract.parity.against}, as {source} on the CPU"
        changed = {
            "format": "edgetpu",
            "target": "edgetpu",
            "parity": contract.parity.model_copy(update={"against": against}),
            "files": contracts.describe_files(folder),
            "tools": {**contract.tools, "edgetpu_compiler": compiled.version},
        }
        contracts.write(Contract(**{**contract.model_dump(), **changed}), folder)
    figures = compiled._asdict() | {
        "rows": [row._asdict() for row in compiled.rows],
        "expected_on_edgetpu": expected.on_edgetpu,
    }
    files.write_json(Path(f"metrics/edgetpu/{variant}.json"), figures)
    print(f"{artifact}: {compiled.on_edgetpu} of {compiled.operators} operators on the Edge TPU")


if __name__ == "__main__":
    main(run)
