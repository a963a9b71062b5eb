"""`python -m benchmarks.peers.detect`: export, measure everything, write the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.peers.compare import Folders
from benchmarks.peers.detect import coco128, plan, record, table
from benchmarks.peers.detect.compare import compare
from benchmarks.peers.detect.record import Results
from benchmarks.peers.detect.restore import as_ultralytics
from edgesmith.bench.measure import Settings
from edgesmith.device import fingerprint
from edgesmith.errors import EdgesmithError
from edgesmith.params import Params, load_params

WORK = Path(__file__).parents[1] / ".work" / "detect"


def measure(
    params: Params, folders: Folders, models: list[Path], rounds: int, parity: bool
) -> Results:
    """The groups of `models` (models/<variant>, default: all of the parameters), and the parity.

    Raises ContractError when a float artifact of ours is missing, ParamsError for an unknown
    variant.
    """
    found = fingerprint.fingerprint()
    # Half of them run in each order.
    bench = params.bench.model_copy(update={"rounds": rounds + rounds % 2})
    settings = Settings(
        threads=params.runtime.threads,
        providers=tuple(params.runtime.providers),
        **bench.model_dump(),
    )
    chosen = models or [folders.checkout / "models" / name for name in plan.baselines(params)]
    by_name = {plan.variant_of(folder): folder for folder in chosen}
    networks = {name: as_ultralytics(folder) for name, folder in by_name.items()}
    # First: what it lacks, it lacks before half an hour of timing.
    same = coco128.measure(folders.checkout, folders.work, settings) if parity else None
    compared = []
    for group in plan.groups(params, list(by_name)):
        result = compare(group, networks[group.baseline], folders, settings)
        print(table.summary(result), file=sys.stderr)
        compared.append(result)
    return Results(
        fingerprint=found,
        fingerprint_id=fingerprint.fingerprint_id(found),
        threads=settings.threads,
        rounds=settings.rounds,
        min_runs=settings.min_runs,
        min_seconds=settings.min_seconds,
        max_warmup_seconds=settings.max_warmup_seconds,
        groups=compared,
        parity=same,
    )


def main() -> None:
    """Measure and write `results.json` and `docs/peers-detect.md`, or with --table the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers.detect",
        description="Our detectors beside Ultralytics' exports of the same weights. Run it from "
        "the root of a built checkout, with nothing else running.",
    )
    parser.add_argument(
        "models",
        type=Path,
        nargs="*",
        help="float detectors, as models/yolo26n-baseline (default: all that are quantized)",
    )
    parser.add_argument("--table", action="store_true", help="only write the page again")
    parser.add_argument("--rounds", type=int, help="rounds in turns (default: params.yaml: bench)")
    parser.add_argument("--no-parity", action="store_true", help="without COCO128")
    parser.add_argument("--work", type=Path, default=WORK, help="where exports are kept")
    parser.add_argument("--results", type=Path, default=record.PATH, help="the record's file")
    asked = parser.parse_args()
    try:
        if not asked.table:
            params = load_params()
            rounds = asked.rounds or params.bench.rounds
            folders = Folders(Path(), asked.work.resolve())
            record.write(
                measure(params, folders, asked.models, rounds, not asked.no_parity), asked.results
            )
        table.write(record.read(asked.results))
    except EdgesmithError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
