"""Compile the bundle in this folder: `python compile_hef.py`.

Needs Hailo's Dataflow Compiler and numpy, nothing else. Checks every file against hailo.json, the
compiler's version against its range and the parsed network against the golden image; then
quantizes, emulates and compiles. Writes model.hef, emulated.npz (what the quantized emulator gives
for emulate.npy) and result.json, the HEF last. Status 0 only if all of it went well; 3 where the
compiler lowered its optimization level, which it does with no more than a warning.
"""

# ruff: noqa: PLC0415 (its own parent process has neither the compiler nor numpy to load)

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

LOWERED = "Reducing optimization level"
DISTRIBUTIONS = ("hailo-dataflow-compiler", "hailo_sdk_client")


def main() -> int:
    """Run the compiler in a process of its own and read along."""
    here = Path(__file__).resolve()
    parser = argparse.ArgumentParser(description="Compile the bundle in this folder.")
    parser.add_argument("--out", type=Path, default=here.parent, help="Where the HEF goes.")
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inner:
        build(here.parent, options.out)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-u", str(here), "--inner", "--out", str(options.out)]
    lowered = False
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    try:
        with (options.out / "compile.log").open("w") as log:
            for line in process.stdout or ():
                sys.stdout.write(line)
                log.write(line)
                if LOWERED in line:
                    lowered = True
                    process.terminate()
        process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if lowered:
        print(
            f"error: the compiler says {LOWERED!r}: it would skip fine-tuning. It wants a GPU that "
            "it can use and 1024 calibration images or more; no HEF was written",
            file=sys.stderr,
        )
        return 3
    return process.returncode


def build(folder: Path, out: Path) -> None:
    """Quantize, emulate and compile; writes into `out`."""
    import numpy as np

    spec = json.loads((folder / "hailo.json").read_text())
    check_files(folder, spec)
    version = check_version(spec)
    from hailo_sdk_client import ClientRunner, InferenceContext

    size = spec["input"]["preprocess"]
    runner = ClientRunner(hw_arch=spec["arch"])
    runner.translate_onnx_model(
        str(folder / "model.onnx"),
        spec["network"],
        start_node_names=[spec["start_node"]],
        end_node_names=spec["end_nodes"],
        net_input_shapes={spec["start_node"]: [1, 3, size["height"], size["width"]]},
    )
    runner.load_model_script((folder / "model.alls").read_text())
    calibration = np.load(folder / "calibration.npy")
    runner.optimize_full_precision(calib_data=calibration)
    golden = np.load(folder / "golden.npz")
    with runner.infer_context(InferenceContext.SDK_FP_OPTIMIZED) as context:
        given = outputs_of(runner.infer(context, golden["image"]), spec)
    check_golden(given, [golden[f"output{k}"] for k in range(len(given))], spec)
    runner.optimize(calibration)
    with runner.infer_context(InferenceContext.SDK_QUANTIZED) as context:
        emulated = outputs_of(runner.infer(context, np.load(folder / "emulate.npy")), spec)
    hef = runner.compile()
    partial = out / "emulated.npz.tmp"
    with partial.open("wb") as stream:
        np.savez(stream, **{f"output{k}": value for k, value in enumerate(emulated)})
    partial.replace(out / "emulated.npz")
    result = {
        "variant": spec["variant"],
        "arch": spec["arch"],
        "dfc_version": version,
        "bundle_sha256": sha256((folder / "hailo.json").read_bytes()),
        "hef_sha256": sha256(hef),
        "emulated_sha256": sha256((out / "emulated.npz").read_bytes()),
    }
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    (out / "model.hef.tmp").write_bytes(hef)
    (out / "model.hef.tmp").replace(out / "model.hef")
    print(f"{out / 'model.hef'}: {len(hef):,} bytes, by Dataflow Compiler {version}")


def check_files(folder: Path, spec: dict[str, Any]) -> None:
    """Refuse a bundle that was changed on its way."""
    for name, expected in spec["files"].items():
        path = folder / name
        if not path.is_file() or sha256(path.read_bytes()) != expected["sha256"]:
            sys.exit(f"error: {path} is missing or was changed; copy the bundle again")


def check_version(spec: dict[str, Any]) -> str:
    """The compiler's version, if it is in the range for the chip."""
    for name in DISTRIBUTIONS:
        try:
            found = metadata.version(name)
            break
        except metadata.PackageNotFoundError:
            continue
    else:
        sys.exit(
            "error: Hailo's Dataflow Compiler is not installed for this Python; its wheel comes "
            "from Hailo's developer zone"
        )
    if not numbers(spec["dfc_from"]) <= numbers(found) < numbers(spec["dfc_before"]):
        sys.exit(
            f"error: {spec['arch']} needs a Dataflow Compiler from {spec['dfc_from']} and before "
            f"{spec['dfc_before']}; {found} is installed (3.x is for Hailo-8, 8L and 8R, 5.x for "
            "Hailo-10H and 15)"
        )
    return found


def numbers(version: str) -> tuple[int, ...]:
    """3.33.1 as (3, 33, 1)."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def outputs_of(given: Any, spec: dict[str, Any]) -> list[Any]:
    """What the emulator gives as float32 arrays in the bundle's order and shapes.

    It gives an array of one output and a list of several; a classifier's may be (N, 1, 1, C).
    """
    found = list(given) if isinstance(given, (list, tuple)) else [given]
    shapes = [output["shape"][1:] for output in spec["outputs"]]
    sizes = [list(value.shape[1:]) for value in found]
    if [product(size) for size in sizes] != [product(shape) for shape in shapes]:
        sys.exit(f"error: the parsed network gives {sizes}, {shapes} were expected")
    pairs = zip(found, shapes, strict=True)
    return [value.reshape(len(value), *shape).astype("float32") for value, shape in pairs]


def check_golden(given: list[Any], expected: list[Any], spec: dict[str, Any]) -> None:
    """The parsed network with its normalisation against the float outputs of ONNX Runtime."""
    for value, wanted, output in zip(given, expected, spec["outputs"], strict=True):
        difference = float(abs(value - wanted).max())
        limit = 0.01 * max(1.0, float(abs(wanted).max()))
        print(f"golden image: {output['name']}: largest difference {difference:.3g}")
        if not difference <= limit:
            sys.exit(
                f"error: {output['name']} departs by {difference:.3g} from ONNX Runtime on the "
                f"golden image (at most {limit:.3g}): the network or its normalisation was not "
                "parsed as meant"
            )


def product(sizes: list[int]) -> int:
    """Of all sizes."""
    total = 1
    for size in sizes:
        total *= size
    return total


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
