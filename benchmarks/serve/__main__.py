"""`python -m benchmarks.serve`: `edgesmith serve` and `yolo predict`, into docs/serve-peers.md."""

from __future__ import annotations

import argparse
import sys
from importlib import metadata
from pathlib import Path

from benchmarks.page import replace_section
from benchmarks.serve import page
from benchmarks.serve.compare import Pair, Results, Side, compare
from benchmarks.serve.export import export
from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.device import fingerprint
from edgesmith.errors import ContractError, EdgesmithError
from edgesmith.film import store
from edgesmith.film.shoot import Script

PAGE = Path("docs/serve-peers.md")
RECORD = Path("benchmarks/serve/results.json")
_WORK = Path("tmp/serve-peers")
# The float network that both run, and ours as it would be shipped.
_FLOAT, _SHIPPED = "yolo26n-baseline", "yolo26n-qat"
_FILM = Script(seed=21, seconds=20.0)


def main() -> None:
    """Export theirs, render the video, run everything, write record and table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve", epilog="Example: python -m benchmarks.serve --rounds 4"
    )
    parser.add_argument(
        "--built", type=Path, default=Path(), help="checkout with models/ and artifacts/"
    )
    parser.add_argument("--rounds", type=int, default=4, help="runs of each; half begin with ours")
    parser.add_argument("--threads", type=int, default=1, help="of the networks")
    parser.add_argument("--table", action="store_true", help="write the page from the record")
    given = parser.parse_args()
    try:
        if not given.table:
            results = _measure(given.built, given.rounds, given.threads)
            files.write_json(RECORD, results.model_dump(mode="json"))
        results = files.read_record(
            RECORD, Results, ContractError, missing="measure first", damaged="measure again"
        )
        replace_section(PAGE, "serve", page.lines(results))
    except EdgesmithError as error:
        sys.exit(f"Error: {error}")
    _say(f"{PAGE}, {RECORD}")


def _measure(built: Path, rounds: int, threads: int) -> Results:
    video = _WORK / "film" / store.VIDEO
    if not video.is_file():
        store.write(video.parent, _FILM)
    pairs = []
    for form in ("ncnn", "onnx"):
        artifact = built / "artifacts" / _FLOAT / form
        side = contracts.read(artifact).input.preprocess.width
        model = export(built / "models" / _FLOAT, form, side, _WORK)
        theirs = Side("yolo predict", "its export, fp32", model)
        for name, what, every in (
            (_FLOAT, "fp32", "1"),
            (_SHIPPED, "int8, as shipped", "1"),
            (_SHIPPED, "int8, as shipped", "4"),
        ):
            command = "edgesmith serve" if every == "1" else f"edgesmith serve --every {every}"
            folder = built / "artifacts" / name / form
            pairs.append(Pair(form, Side(command, f"{name}, {what}", folder, every), theirs))
    return Results(
        fingerprint=fingerprint.fingerprint(),
        versions={name: metadata.version(name) for name in ("ultralytics", "ncnn", "onnxruntime")},
        video=f"{_FILM.frames} frames of {_FILM.width}×{_FILM.height}, Motion JPEG "
        f"(`python -m edgesmith.film`, seed {_FILM.seed}); networks of {side}×{side}",
        threads=threads,
        answers=compare(pairs, video, side, threads, rounds, _say),
    )


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
