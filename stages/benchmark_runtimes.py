"""A chain's FP32 and INT8 network in every runtime, in one interleaved run on this CPU.

models/<fp32, int8>, artifacts/<fp32, int8>/*, devices/host/device.json
-> metrics/bench/host/<key>.runtimes.json
"""

import tempfile
from pathlib import Path

from edgesmith.bench import record
from edgesmith.bench.measure import Settings
from edgesmith.device import fingerprint
from edgesmith.params import load_params
from edgesmith.runtime_table import cells
from edgesmith.runtime_table.measure import measure_runtimes
from stages._run import main


def run(key: str) -> None:
    params = load_params()
    device = fingerprint.here(Path("devices/host/device.json"))
    with tempfile.TemporaryDirectory() as work:
        subjects, not_built = cells.collect(
            params.runtimes[key], Path(work), params.runtime.threads
        )
        measured = measure_runtimes(
            subjects,
            Settings(
                threads=params.runtime.threads, providers=("cpu",), **params.bench.model_dump()
            ),
            device=device.name,
            fingerprint=device.fingerprint_id,
            not_built=not_built,
        )
    record.write(measured, Path(f"metrics/bench/{device.name}/{key}.runtimes.json"))


if __name__ == "__main__":
    main(run)
