"""`edgesmith bench --suite seed`: a whole report measured by one command."""

# ruff: noqa: PLC0415

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from edgesmith.cli_options import ThreadsOption
from edgesmith.errors import DataError, RuntimeUnavailableError

EXAMPLE = "Example: edgesmith bench --suite seed --out tmp/seed --docs docs/seed-report.md"
_SUITES = ("seed",)


class Command(TyperCommand):
    """`edgesmith bench`: with `--suite` another command, which takes no artifact."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """The suite's context where the arguments name one."""
        if any(argument.split("=")[0] == "--suite" for argument in args):
            return _command().make_context(info_name, args, parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


def suite(
    name: Annotated[str, typer.Option("--suite", help=f"Which: {', '.join(_SUITES)}.")],
    variant_fp32: Annotated[str, typer.Option(help="In models/ and artifacts/.")] = (
        "mobilenetv2-baseline"
    ),
    variant_int8: Annotated[str, typer.Option(help="Its INT8 child.")] = "mobilenetv2-qat",
    out: Annotated[
        Path, typer.Option(help="Folder for seed.json, seed.md, PNGs and traces.")
    ] = Path("tmp/seed"),
    docs: Annotated[
        Path | None, typer.Option(help="Page with <!-- seed --> marks to rewrite between.")
    ] = None,
    threads: ThreadsOption = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of all cells.")] = 5,
    runs: Annotated[int, typer.Option(min=2, help="Profiled inferences of each trace.")] = 30,
) -> None:
    """Measure the seed report's table again here, on the build host's checkout.

    PyTorch FP32 and INT8 with and without JIT, ONNX Runtime, LiteRT and ncnn in one interleaved
    run; then PyTorch and ONNX Runtime profiled, with traces and what is the bottleneck.
    """
    if name not in _SUITES:
        raise DataError(f"--suite {name}: unknown; known: {', '.join(_SUITES)}")
    if importlib.util.find_spec("torch") is None:
        raise RuntimeUnavailableError(
            "`edgesmith bench --suite seed` measures PyTorch too, which is not installed here; "
            "pip install edgesmith[build]"
        )
    from edgesmith import files
    from edgesmith.bench.measure import Settings
    from edgesmith.profile import folder, take
    from edgesmith.profile_torch.target import target
    from edgesmith.seed import measure, report

    measured = measure.measure(variant_fp32, variant_int8, Settings(threads=threads, rounds=rounds))
    # Each profiled against its INT8 form: what the lab report explains, and where INT8 gains.
    pairs = {
        "pytorch": [target(Path("models") / each) for each in (variant_fp32, variant_int8)],
        "onnxruntime": [
            take.artifact(Path("artifacts") / each / "onnx")
            for each in (variant_fp32, variant_int8)
        ],
    }
    taken = {key: take.take(both, runs=runs, threads=threads) for key, both in pairs.items()}
    for key, profiles in taken.items():
        folder.write(out / key, profiles)
        folder.draw(out / key)
    summaries = {key: profiles[0].summary for key, profiles in taken.items()} | {
        f"{key}-int8": profiles[1].summary for key, profiles in taken.items()
    }
    lines = report.markdown(measured, summaries)
    files.write_json(out / measure.FILE, measured.model_dump(mode="json"))
    files.write_text(out / "seed.md", "\n".join(lines) + "\n")
    files.write_bytes(out / "seed.png", report.png(measured))
    if docs is not None:
        report.place(docs, lines)
    for row in report.table_rows(measured):
        typer.echo("  ".join(f"{text:<{width}}" for text, width in zip(row, _WIDTHS, strict=True)))
    typer.echo(f"{out}: seed.md, seed.json, seed.png, {', '.join(f'{key}/' for key in taken)}")


_WIDTHS = (26, 5, 4, 18, 24, 24, 8)


def _command() -> Any:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(epilog=EXAMPLE)(suite)
    return typer.main.get_command(app)
