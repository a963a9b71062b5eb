"""Latency of an artifact on a device, over SSH or on the device itself, beside its baseline.

artifacts/<variant>/<format>, artifacts/<baseline>/<format>, devices/<device>/device.json
-> metrics/bench/<device>/<variant>.<format>.json
"""

from pathlib import Path

from edgesmith.bench import measure, record
from edgesmith.device import fingerprint
from edgesmith.params import load_params
from edgesmith.remote.measure import measure_pair
from edgesmith.remote.target import of_device
from edgesmith.runtimes.session import ACCELERATORS
from stages._run import main


def run(name: str, variant: str, format_name: str, baseline_variant: str = "") -> None:
    params = load_params()
    path = Path("devices") / name / "device.json"
    artifact = Path("artifacts") / variant / format_name
    other = baseline_variant or params.variants[variant].baseline
    baseline = Path("artifacts") / other / format_name
    settings = measure.Settings(
        threads=params.runtime.threads,
        # Those of params.yaml are of the CPU's formats; an accelerator's has one, which it knows.
        providers=() if format_name in ACCELERATORS else tuple(params.runtime.providers),
        **params.bench.model_dump(),
    )
    target = of_device(name)
    if target is None:
        here = fingerprint.here(path)
        measured = measure.measure_pair(
            artifact, baseline, settings, device=name, fingerprint=here.fingerprint_id
        )
    else:
        known = fingerprint.read(path)
        measured = measure_pair(
            target,
            artifact,
            baseline,
            settings,
            device_name=name,
            fingerprint_id=known.fingerprint_id,
        )
    record.write(measured, Path(f"metrics/bench/{name}/{variant}.{format_name}.json"))


if __name__ == "__main__":
    main(run)
