"""`edgesmith ncnn-quantize`: INT8 for any float NCNN model, from a folder of images.

Needs numpy, OpenCV and ncnn alone: no torch, no build of ncnn's own tools.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.errors import DataError, RuntimeUnavailableError

if TYPE_CHECKING:
    from edgesmith.ncnn_int8.model import Model
    from edgesmith.preprocess import Float32Array, Preprocess

EXAMPLE = (
    "Example: edgesmith ncnn-quantize model.param model.bin --calibration photos --size 224x224 "
    "--mean 123.675 116.28 103.53 --std 58.395 57.12 57.375"
)
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"}
_PASSES = {"kl": 2, "absmax": 1}


class Method(enum.StrEnum):
    """How calibration picks a range."""

    kl = "kl"
    absmax = "absmax"


class Colour(enum.StrEnum):
    """Order of the channels that the network was trained with."""

    rgb = "RGB"
    bgr = "BGR"


def ncnn_quantize(
    param: Annotated[Path, typer.Argument(metavar="MODEL.param", help="Layers of a float model.")],
    binary: Annotated[Path, typer.Argument(metavar="MODEL.bin", help="Weights of it.")],
    calibration: Annotated[
        Path,
        typer.Option(help="Folder of images like those on the device; 100 to 1,000 are enough."),
    ],
    size: Annotated[
        str, typer.Option(help="HEIGHTxWIDTH of the network's input, such as 224x224.")
    ],
    method: Annotated[
        Method,
        typer.Option(help="kl clips rare extremes; absmax keeps them (few images, or trained so)."),
    ] = Method.kl,
    mean: Annotated[
        tuple[float, float, float],
        typer.Option(help="Subtracted from each channel of 0-255, as in training."),
    ] = (0, 0, 0),
    std: Annotated[
        tuple[float, float, float],
        typer.Option(help="Each channel is divided by it, as in training (in units of 0-255)."),
    ] = (1, 1, 1),
    colour: Annotated[Colour, typer.Option(help="Channel order of training.")] = Colour.rgb,
    output: Annotated[
        Path | None,
        typer.Option(help="PREFIX of the .param and .bin to write.", show_default="MODEL-int8"),
    ] = None,
) -> None:
    """Quantize a float NCNN model (.param, .bin) to INT8.

    Weights get one scale per output channel, activations one per tensor, found on the images. The
    preprocessing must be that of training: with another the ranges, and the results, are wrong.
    Nothing is written unless all of it succeeds.
    """
    spec = _preprocess(size, mean, std, colour)
    prefix = output or param.with_name(f"{param.name.removesuffix('.param')}-int8")
    written = Path(f"{prefix}.param"), Path(f"{prefix}.bin")
    if {path.resolve() for path in written} & {param.resolve(), binary.resolve()}:
        raise typer.BadParameter(f"{prefix} would overwrite the float model; give another --output")
    paths = _images(calibration)
    try:
        from edgesmith.ncnn_int8 import calibrate, model, quantize
    except ModuleNotFoundError as error:
        raise RuntimeUnavailableError(
            f"ncnn-quantize needs the Python package {error.name!r}, which is not installed here; "
            "pip install edgesmith[device-ncnn]"
        ) from error
    float_model = model.read(param, binary)
    with ExitStack() as stack:
        progress: Any = stack.enter_context(
            typer.progressbar(length=_PASSES[method] * len(paths), label="calibrating")
        )

        def images() -> Iterator[Float32Array]:
            for path in paths:
                yield _prepared(path, spec)
                progress.update(1)

        scales = calibrate.calibrate(float_model, param, binary, images, method.value)
    quantized = quantize.quantize(float_model, scales)
    model.write(quantized, *written)
    typer.echo(_summary(quantized, len(paths), method, binary, written))


def _prepared(path: Path, spec: Preprocess) -> Float32Array:
    """(3, height, width) float32."""
    from edgesmith.preprocess import prepare, read_image

    prepared: Float32Array = prepare([read_image(path)], spec)[0]
    return prepared


def _preprocess(
    size: str,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    colour: Colour,
) -> Preprocess:
    from pydantic import ValidationError

    from edgesmith.preprocess import Preprocess

    height, _, width = size.lower().partition("x")
    try:
        return Preprocess.model_validate(
            {"height": height, "width": width, "mean": mean, "std": std, "colour": colour.value}
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise typer.BadParameter(
            f"--{'size' if key in {'height', 'width'} else key}: {first['msg']}; "
            "write --size 224x224 (height, width) and --std as three numbers above 0"
        ) from error


def _images(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise DataError(
            f"{folder}: {'no image below it' if folder.is_dir() else 'no such folder'}; "
            f"--calibration takes a folder of {', '.join(sorted(_SUFFIXES))} files"
        )
    return found


def _summary(
    quantized: Model, images: int, method: Method, binary: Path, written: tuple[Path, Path]
) -> str:
    before, after = binary.stat().st_size, written[1].stat().st_size
    return (
        f"{written[0]}, {written[1]}: {len(quantized.weighted())} layers in INT8 from {images} "
        f"image(s) by {method.value}; {before / 1e6:.2f} -> {after / 1e6:.2f} MB "
        f"({after / before:.2f})"
    )
