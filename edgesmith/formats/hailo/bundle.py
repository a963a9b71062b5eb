"""A folder that needs nothing but the compiler and numpy to become a HEF."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.boxes import Boxes
from edgesmith.contract import Input, Output
from edgesmith.errors import DataError
from edgesmith.formats.describe import Card
from edgesmith.formats.hailo import graph, proof, script
from edgesmith.formats.hailo.compiler import SCRIPT as COMPILE
from edgesmith.formats.hailo.contents import FILE, Bundle
from edgesmith.formats.hailo.settings import Prepare, dfc_range
from edgesmith.preprocess import Float32Array, UInt8Array, normalise
from edgesmith.tasks import store

MODEL, SCRIPT, CALIBRATION = "model.onnx", "model.alls", "calibration.npy"
GOLDEN, EMULATED_IMAGES = "golden.npz", "emulate.npy"
_PROOF_IMAGES = 16


def prepare(
    variant: Path,
    folder: Path,
    settings: Prepare,
    calibration: UInt8Array,
    emulated: UInt8Array,
) -> Bundle:
    """Write the bundle of the stored `variant` into `folder`.

    `calibration` and `emulated` are fitted images (N, H, W, 3) uint8, of the training and of the
    test side. Raises DataError for too few of the first, ExportError where the graph cannot be cut
    or the cut changes what comes out.
    """
    if len(calibration) < settings.calibration_images:
        raise DataError(
            f"{variant.name}: {len(calibration)} images to calibrate with, "
            f"{settings.calibration_images} are asked for; give the dataset more, or lower "
            "prepare.calibration_images and set accept_fewer_images in toolchains/hailo/params.yaml"
        )
    net, card = store.load_folded(variant)
    spec = card.network.input
    cut = graph.trace(net, card)
    boxes = Boxes(head=card.network.head) if card.task == "detect" else None
    proved = proof.prove(cut, spec, boxes, emulated[:_PROOF_IMAGES])
    bits = settings.output_bits[card.task]
    _write_parts(folder, cut, card, settings, calibration, emulated)
    oldest, newest = dfc_range(settings.arch)
    made = Bundle(
        variant=card.name,
        parent_sha256=files.sha256_folder(variant),
        model=card.model,
        task=card.task,
        network=card.name.replace("-", "_"),
        arch=settings.arch,
        dfc_from=oldest,
        dfc_before=newest,
        opset=graph.OPSET,
        labels=card.labels,
        input=Input(
            name=graph.INPUT,
            layout="NHWC",
            dtype="uint8",
            shape=[1, spec.height, spec.width, 3],
            preprocess=spec,
            normalised_inside=True,
        ),
        start_node=graph.INPUT,
        end_nodes=cut.end_nodes,
        outputs=[_channels_last(output) for output in cut.results],
        boxes=boxes,
        output_bits=bits,
        calibration_images=len(calibration),
        params=card.params,
        macs=card.macs,
        proof=proved,
        files=contracts.describe_files(folder),
    )
    files.write_json(folder / FILE, made.model_dump(mode="json"))
    return made


def channels_last(values: Float32Array) -> Float32Array:
    """(N, C, H, W) as (N, H, W, C); (N, C) as it is."""
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1)) if values.ndim == 4 else values


def _write_parts(
    folder: Path,
    cut: graph.Cut,
    card: Card,
    settings: Prepare,
    calibration: UInt8Array,
    emulated: UInt8Array,
) -> None:
    spec = card.network.input
    text = script.write(
        spec, len(cut.results), settings.output_bits[card.task], len(calibration), settings
    )
    golden = emulated[:1]
    expected = proof.run(cut.chip, normalise(golden, spec))
    arrays: dict[str, npt.NDArray[np.float32] | npt.NDArray[np.uint8]] = {"image": golden}
    arrays |= {f"output{k}": channels_last(value) for k, value in enumerate(expected)}
    files.write_bytes(folder / MODEL, cut.chip.SerializeToString(deterministic=True))
    files.write_text(folder / SCRIPT, text)
    for name, images in ((CALIBRATION, calibration), (EMULATED_IMAGES, emulated)):
        with (folder / name).open("wb") as stream:
            np.save(stream, images)
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    files.write_bytes(folder / GOLDEN, packed.getvalue())
    shutil.copyfile(Path(__file__).with_name(COMPILE), folder / COMPILE)


def _channels_last(output: Output) -> Output:
    if output.layout != "NCHW":
        return output
    batch, channels, rows, columns = output.shape
    return output.model_copy(update={"layout": "NHWC", "shape": [batch, rows, columns, channels]})
