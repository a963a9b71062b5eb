"""Latency of an artifact on this machine, in one interleaved run with its baseline.

artifacts/<variant>/<format>, artifacts/<baseline>/<format>, devices/host/device.json
-> metrics/bench/host/<variant>.<format>.json
"""

from pathlib import Path

from edgesmith.bench import record
from edgesmith.bench.measure import Settings, measure_pair
from edgesmith.device import fingerprint
from edgesmith.params import load_params
from stages._run import main


def run(variant: str, format_name: str) -> None:
    params = load_params()
    device = fingerprint.here(Path("devices/host/device.json"))
    measured = measure_pair(
        Path("artifacts") / variant / format_name,
        Path("artifacts") / params.variants[variant].baseline / format_name,
        Settings(
            threads=params.runtime.threads,
            providers=tuple(params.runtime.providers),
            **params.bench.model_dump(),
        ),
        device=device.name,
        fingerprint=device.fingerprint_id,
    )
    record.write(measured, Path(f"metrics/bench/{device.name}/{variant}.{format_name}.json"))


if __name__ == "__main__":
    main(run)
