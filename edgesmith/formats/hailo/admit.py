"""What the compiler made, checked against its bundle and signed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.contract import Contract, Output
from edgesmith.errors import ContractError
from edgesmith.formats import parity
from edgesmith.formats.hailo import contents
from edgesmith.formats.hailo.compiler import EMULATED, HEF, RESULT, SCRIPT
from edgesmith.formats.hailo.contents import Bundle
from edgesmith.formats.hailo.settings import Compile
from edgesmith.hef.facts import Hef, Stream
from edgesmith.hef.read import read
from edgesmith.params import Tolerance
from edgesmith.runtimes.tensors import unpack
from edgesmith.tasks.learning import Images
from edgesmith.tasks.store import load_reference


def admit(
    source: Path, bundle: Path, folder: Path, model: Path, split: Images, settings: Compile
) -> Contract:
    """Copy the HEF in `source` into `folder` and sign it.

    It must be of this very bundle, for its chip, with its inputs and outputs; and the emulator's
    outputs for `split`, the images that the bundle asked for, may cost no more than
    `max_metric_drop` of the metric of the parent in `model`.
    """
    made = contents.read(bundle)
    result = _result(source, bundle)
    hef = read(source / HEF)
    outputs = _outputs(made, hef)
    emulated = _emulated(source / EMULATED, made, len(split))
    tolerance = Tolerance(
        max_abs_diff=float("inf"),
        min_sqnr_db=float("-inf"),
        min_agreement=0,
        max_metric_drop=settings.max_metric_drop,
    )
    measured = parity.measure(
        emulated,
        load_reference(model)["self"][: len(split)],
        split,
        made.task,
        made.boxes,
        str(model),
        tolerance,
    )
    parity.check(measured, tolerance, str(source / HEF), list)
    allowed = {"max_metric_drop": settings.max_metric_drop}
    files.write_bytes(folder / HEF, (source / HEF).read_bytes())
    signed = Contract(
        task=made.task,
        variant=made.variant,
        parent=made.variant,
        parent_sha256=made.parent_sha256,
        model=made.model,
        format="hef",
        precision="int8",
        target=hef.hw_arch,
        labels=made.labels,
        input=made.input,
        outputs=outputs,
        boxes=made.boxes,
        files=contracts.describe_files(folder),
        params=made.params,
        macs=made.macs,
        tools={"hailo_dataflow_compiler": result["dfc_version"]},
        parity=measured.model_copy(update={"tolerance": allowed}),
    )
    contracts.write(signed, folder)
    return signed


def _result(source: Path, bundle: Path) -> dict[str, Any]:
    """result.json, if it belongs to this bundle and to the files beside it."""
    path = source / RESULT
    try:
        result: dict[str, Any] = json.loads(path.read_bytes())
        expected = {
            "bundle_sha256": files.sha256(bundle / contents.FILE),
            "hef_sha256": files.sha256(source / HEF),
            "emulated_sha256": files.sha256(source / EMULATED),
        }
    except (OSError, ValueError) as error:
        raise ContractError(f"{source}: not what {SCRIPT} wrote ({error})") from error
    for key, value in expected.items():
        if result.get(key) != value:
            raise ContractError(
                f"{path}: {key} does not match: the bundle or a file changed since; compile again"
            )
    return result


def _outputs(made: Bundle, hef: Hef) -> list[Output]:
    """The bundle's outputs under the names that they have in the HEF."""
    (group,) = hef.network_groups[:1]
    # 15H and 10H are one number in a HEF, 8 and 8P another.
    if hef.hw_arch != {"hailo10h": "hailo15h"}.get(made.arch, made.arch):
        raise ContractError(f"{hef.file}: is for {hef.hw_arch}, the bundle for {made.arch}")
    if [stream.shape for stream in group.inputs] != [made.input.shape[1:]]:
        raise ContractError(f"{hef.file}: its inputs are not the bundle's {made.input.shape[1:]}")
    if not all(stream.normalised_on_chip for stream in group.inputs):
        raise ContractError(f"{hef.file}: normalises nothing on the chip; was its script loaded?")
    return [
        output.model_copy(update={"name": _stream(group.outputs, node, output, hef.file).name})
        for node, output in zip(made.end_nodes, made.outputs, strict=True)
    ]


def _stream(streams: list[Stream], node: str, output: Output, file: str) -> Stream:
    found = [stream for stream in streams if node in stream.layers]
    sizes = output.shape[1:] if len(output.shape) == 4 else [1, 1, output.shape[1]]
    if len(found) != 1 or found[0].shape != sizes:
        listed = ", ".join(f"{stream.name} {stream.shape}" for stream in streams)
        raise ContractError(f"{file}: no output of {sizes} comes from {node}; it has {listed}")
    return found[0]


def _emulated(path: Path, made: Bundle, count: int) -> Any:
    """The emulator's outputs as a session gives them."""
    with np.load(path) as stored:
        values = [stored[f"output{k}"] for k in range(len(made.outputs))]
    if any(len(value) != count for value in values):
        raise ContractError(f"{path}: holds {len(values[0])} images, the bundle asked for {count}")
    return unpack(values, made.outputs)
