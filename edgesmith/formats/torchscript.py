"""A variant as TorchScript, `model.pt`: FP32, or INT8 in PyTorch's own integer kernels."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn
from torch.fx import GraphModule

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.compress.quantize import ranges
from edgesmith.contract import Description, Input, Output
from edgesmith.errors import ExportError
from edgesmith.formats import simulation, torch_int8
from edgesmith.formats.parity import Ranking
from edgesmith.preprocess import Float32Array, UInt8Array
from edgesmith.runtimes.torch import integer_engine
from edgesmith.tasks import store

FILE = "model.pt"


@dataclass(frozen=True)
class Written:
    """An exported artifact before its parity is known, and its integer graph (INT8 only)."""

    description: Description
    integers: GraphModule | None


def export(variant: Path, folder: Path) -> Written:
    """Write the stored `variant` into `folder` as TorchScript.

    Any number of images, input (N, 3, height, width) float32, output (N, classes) float32 logits.
    Raises ExportError for a precision or an operator that has no rule, ModelError for a damaged
    variant.
    """
    net, card = store.load(variant)
    spec = card.network.input
    integers = None
    if card.precision == "int8":
        integers = integer_graph(variant)
    elif card.precision != "fp32":
        raise ExportError(
            f"torchscript: {card.name} is {card.precision}; PyTorch's kernels for a CPU are for "
            "fp32 and int8 variants: remove it from params.yaml: formats.torchscript"
        )
    write(integers or net, (3, spec.height, spec.width), folder)
    described = Description(
        task=card.task,
        variant=card.name,
        parent=card.parent or card.name,
        parent_sha256=files.sha256_folder(variant),
        model=card.model,
        format="torchscript",
        precision=card.precision,
        target="any",
        labels=card.labels,
        input=Input(
            name="input",
            layout="NCHW",
            dtype="float32",
            shape=[-1, 3, spec.height, spec.width],
            preprocess=spec,
        ),
        outputs=[
            Output(
                name="logits",
                meaning="logits",
                dtype="float32",
                shape=[-1, len(card.labels)],
                decode="softmax",
            )
        ],
        files=contracts.describe_files(folder),
        params=card.params,
        macs=card.macs,
        tools={name: version(name) for name in ("torch", "torchao")},
    )
    return Written(described, integers)


def integer_graph(variant: Path) -> GraphModule:
    """The stored INT8 variant in PyTorch's integer kernels, to run in eager mode."""
    net, card = store.load(variant)
    # Packs weights for this machine; TorchScript stores them unpacked, for each runtime to pack.
    torch.backends.quantized.engine = integer_engine("cpu")
    return torch_int8.render(net, card.network.input, ranges.read(variant))


def write(net: nn.Module, shape: tuple[int, int, int], folder: Path) -> None:
    """Trace `net` on one image of `shape`, fold its constants, and write `model.pt`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated: see docs
        traced = torch.jit.trace(net.eval(), torch.zeros(1, *shape))  # type: ignore[no-untyped-call]
        frozen = torch.jit.freeze(traced)
        stream = io.BytesIO()
        torch.jit.save(frozen, stream)
    files.write_bytes(folder / FILE, _without_traces(stream.getvalue()))


def rank(variant: Path, written: Written, images: UInt8Array) -> Ranking:
    """(range key, SQNR in dB) of every tensor between integer kernels, worst first."""
    graph = written.integers
    if graph is None:
        return []
    found: dict[str, Float32Array] = {}

    def keep(module: nn.Module, _: object, output: torch.Tensor) -> None:
        found[str(module.key)] = output.dequantize().numpy()

    for module in graph.children():
        module.register_forward_hook(keep)

    def execute(inputs: Float32Array) -> Mapping[str, Float32Array]:
        with torch.inference_mode():
            graph(torch.from_numpy(inputs))
        return found

    return simulation.rank(variant, images, execute)


def _without_traces(archive: bytes) -> bytes:
    """The archive without the source lines of this machine that torch adds for error messages.

    Rewritten by torch's own classes: it wants tensors aligned within the zip.
    """
    reader = torch._C.PyTorchFileReader(io.BytesIO(archive))
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / FILE
        writer = torch._C.PyTorchFileWriter(str(path))
        for name in reader.get_all_records():
            if not name.endswith(".debug_pkl") and not name.startswith(".data/"):
                record = reader.get_record(name)
                writer.write_record(name, record, len(record))
        writer.write_end_of_file()
        return path.read_bytes()
