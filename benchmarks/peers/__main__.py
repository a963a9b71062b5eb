"""`python -m benchmarks.peers`: make the peers' files, measure everything, write the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.peers import plan, record, table
from benchmarks.peers.compare import Folders, compare
from benchmarks.peers.record import Results
from edgesmith.bench.measure import Settings
from edgesmith.data.index import read_index
from edgesmith.device import fingerprint
from edgesmith.errors import EdgesmithError
from edgesmith.params import Params, load_params

WORK = Path(__file__).parent / ".work"


def measure(params: Params, checkout: Path, work: Path, rounds: int) -> Results:
    """All groups of the checkout's parameters, measured on this machine.

    Raises ContractError when an artifact of ours is missing, ParamsError when nothing is quantized.
    """
    found = fingerprint.fingerprint()
    # Half of them run in each order.
    bench = params.bench.model_copy(update={"rounds": rounds + rounds % 2})
    settings = Settings(
        threads=params.runtime.threads,
        providers=tuple(params.runtime.providers),
        **bench.model_dump(),
    )
    folders = Folders(checkout, work)
    groups = plan.groups(params, found["arch"], found.get("isa", ""))
    compared = []
    for group in groups:
        result = compare(group, folders, settings, params.tolerances.classify.int8)
        print(table.summary(result), file=sys.stderr)
        compared.append(result)
    index = read_index(checkout / "data" / groups[0].dataset)
    return Results(
        fingerprint=found,
        fingerprint_id=fingerprint.fingerprint_id(found),
        threads=settings.threads,
        rounds=settings.rounds,
        min_runs=settings.min_runs,
        min_seconds=settings.min_seconds,
        max_warmup_seconds=settings.max_warmup_seconds,
        test_images=index.counts["test"],
        calibration_images=index.counts["calibration"],
        groups=compared,
    )


def main() -> None:
    """Measure and write `results.json` and `docs/peers.md`, or with --table the page alone."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description="Our INT8 beside what other tools make of the same float weights. Run it "
        "from the root of a built checkout, with nothing else running.",
    )
    parser.add_argument("--table", action="store_true", help="only write the page again")
    parser.add_argument("--rounds", type=int, help="rounds in turns (default: params.yaml: bench)")
    asked = parser.parse_args()
    try:
        if not asked.table:
            params = load_params()
            rounds = asked.rounds or params.bench.rounds
            record.write(measure(params, Path(), WORK, rounds))
        results = record.read()
        table.write(results)
    except EdgesmithError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
