"""`edgesmith predict`: what an artifact sees in images."""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli_options import ProviderOption
from edgesmith.errors import ContractError, DataError

if TYPE_CHECKING:
    from edgesmith.boxes import Boxes
    from edgesmith.contract import Description
    from edgesmith.decode.classify import Prediction
    from edgesmith.decode.detect import Detections
    from edgesmith.preprocess import UInt8Array
    from edgesmith.runtimes.session import Session

EXAMPLE = (
    "Example: edgesmith predict artifacts/mobilenetv2-qat/onnx sign.jpg --json; "
    "edgesmith predict artifacts/yolo26n-qat/ncnn street.jpg --save found.jpg"
)
# By the file's suffix, what OpenCV encodes without further settings.
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_CLASSES = 5


def predict(
    artifact: Annotated[
        Path, typer.Argument(help="Folder of an artifact, such as artifacts/mobilenetv2-qat/onnx.")
    ],
    images: Annotated[
        list[Path], typer.Argument(help="JPEG, PNG, BMP or WebP files, or folders of them.")
    ],
    save: Annotated[
        Path | None,
        typer.Option(help="Image with the boxes drawn; for several images a folder of them."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Least score of an object, in place of the contract's."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads that the network runs on.")] = 1,
    provider: ProviderOption = [],  # noqa: B006 (typer copies it)
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """Name what is in each image.

    A classifier gives its five most probable classes; a detector every object with label, score
    and box (left, top, right, bottom in pixels of the image). Needs no more than the runtime.
    """
    from edgesmith.runtimes import session as runtimes

    images = [path for given in images for path in _images(given)]
    targets = _targets(images, save)
    session = runtimes.load(artifact, threads, provider)
    contract = session.contract
    if contract.task == "detect":
        results = _detect(session, images, _boxes(contract, threshold), targets)
    else:
        _refuse_options_of_detectors(artifact, save, threshold)
        results = _classify(session, images)
    if as_json:
        typer.echo(json.dumps({name: entries for name, entries, _ in results}, indent=2))
        return
    for name, _, lines in results:  # printed one by one: the first need not wait for the last
        typer.echo(name)
        for line in lines:
            typer.echo(f"  {line}")


# One image: its name, what a script gets, what a reader gets.
_Result = tuple[str, list[dict[str, Any]], list[str]]


def _classify(session: Session, images: Sequence[Path]) -> Iterator[_Result]:
    from edgesmith.decode.classify import top_k

    for path in images:
        _, logits = _run(session, path)
        best: list[Prediction] = top_k(logits[None], session.contract.labels, _CLASSES)[0]
        lines = [f"{100 * found.probability:5.1f} %  {found.label}" for found in best]
        yield str(path), [found._asdict() for found in best], lines


def _detect(
    session: Session, images: Sequence[Path], boxes: Boxes, targets: dict[Path, Path]
) -> Iterator[_Result]:
    from edgesmith.decode.detect import objects

    contract = session.contract
    for path in images:
        image, predictions = _run(session, path)
        height, width = image.shape[:2]
        found = objects(predictions, contract, height, width, boxes)
        entries = [
            {
                "label": contract.labels[int(kind)],
                "score": round(float(score), 6),
                "box": [round(float(edge), 2) for edge in box],
            }
            for box, score, kind in zip(*found, strict=True)
        ]
        lines = _lines(entries, boxes.score_threshold)
        if path in targets:
            _write(targets[path], image, found, contract.labels)
            lines.append(f"drawn into {targets[path]}")
        yield str(path), entries, lines


def _lines(entries: Sequence[dict[str, Any]], threshold: float) -> list[str]:
    if not entries:
        return [f"nothing with a score of {threshold:g} or more; --threshold lowers it"]
    width = max(len(entry["label"]) for entry in entries)
    return [
        f"{100 * entry['score']:5.1f} %  {entry['label']:<{width}}  "
        + " ".join(f"{edge:7.1f}" for edge in entry["box"])
        for entry in entries
    ]


def _run(session: Session, path: Path) -> tuple[UInt8Array, Any]:
    """The image, and what the network says of it: logits (classes,) or (cells, 4 + classes)."""
    from edgesmith.preprocess import fit, read_image
    from edgesmith.runtimes.session import predict

    image = read_image(path)
    return image, predict(session, fit(image, session.contract.input.preprocess)[None])[0]


def _boxes(contract: Description, threshold: float | None) -> Boxes:
    if contract.boxes is None:
        raise ContractError(
            f"artifacts/{contract.variant}/{contract.format}: a detector without `boxes` in its "
            "contract, which say how maps become boxes; export it again"
        )
    if threshold is None:
        return contract.boxes
    return contract.boxes.model_copy(update={"score_threshold": threshold})


def _refuse_options_of_detectors(
    artifact: Path, save: Path | None, threshold: float | None
) -> None:
    for option, value in (("--save", save), ("--threshold", threshold)):
        if value is not None:
            raise ContractError(
                f"{artifact}: a classifier gives no boxes, {option} is for detectors; leave it out"
            )


def _images(given: Path) -> list[Path]:
    """The path itself, or the images right inside it."""
    if not given.is_dir():
        return [given]
    found = sorted(path for path in given.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise DataError(f"{given}: no {', '.join(_SUFFIXES)} file in this folder; name another")
    return found


def _targets(images: Sequence[Path], save: Path | None) -> dict[Path, Path]:
    """Where each image is drawn; DataError, before anything runs, where two would be one file."""
    if save is None:
        return {}
    if save.suffix.lower() in _SUFFIXES and not save.is_dir():
        if len(images) > 1:
            raise DataError(f"--save {save}: one file for {len(images)} images; name a folder")
        targets = {images[0]: save}
    elif save.suffix and not save.is_dir():
        raise DataError(
            f"--save {save}: not a folder, and {save.suffix!r} is none of {', '.join(_SUFFIXES)}"
        )
    else:
        targets = {
            path: save / (path.name if path.suffix.lower() in _SUFFIXES else f"{path.name}.png")
            for path in images
        }
    taken = {path.resolve(): path for path in images}
    for path, target in targets.items():
        other = taken.setdefault(target.resolve(), target)
        if other is not target:
            raise DataError(
                f"--save {save}: what is found in {path} would be written over {other}; name "
                "another file or folder"
            )
    return targets


def _write(path: Path, image: UInt8Array, found: Detections, labels: list[str]) -> None:
    import cv2

    from edgesmith import files
    from edgesmith.draw import draw

    drawn = draw(image, found, labels)
    _, encoded = cv2.imencode(path.suffix, drawn[:, :, ::-1])
    try:
        files.write_bytes(path, encoded.tobytes())
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); name another --save"
        ) from error
