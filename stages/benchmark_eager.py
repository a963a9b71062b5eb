"""The whole way: PyTorch eager FP32 against an artifact, in one interleaved run on this CPU.

models/<network>, artifacts/<artifact>/onnx, devices/host/device.json
-> metrics/bench/host/<key>.eager.json
"""

from pathlib import Path

from edgesmith.bench import record
from edgesmith.bench.measure import Loadable, Settings, measure_against_eager
from edgesmith.device import fingerprint
from edgesmith.params import load_params
from stages._run import main


def run(key: str) -> None:
    params = load_params()
    device = fingerprint.here(Path("devices/host/device.json"))
    measured = measure_against_eager(
        Path("artifacts") / params.eager[key].artifact / "onnx",
        Loadable(Path("models") / params.eager[key].network, "edgesmith.tasks.classify.eager"),
        Settings(threads=params.runtime.threads, providers=("cpu",), **params.bench.model_dump()),
        device=device.name,
        fingerprint=device.fingerprint_id,
    )
    record.write(measured, Path(f"metrics/bench/{device.name}/{key}.eager.json"))


if __name__ == "__main__":
    main(run)
