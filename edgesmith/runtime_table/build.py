"""PyTorch's ways to run a network that are no artifacts, built for the benchmark.

`python -m edgesmith.runtime_table.build KIND VARIANT FOLDER THREADS`

A pickle and a library compiled for this CPU serve this machine and nobody else. KIND is
`eager-int8` (the graph of integer kernels) or `aotinductor` (`torch.export`, then one library by
the C++ compiler). A process of its own, because a compiler may fail, and what it needs in memory
is not the network's.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import torch

from edgesmith import files
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import give_ranges, simulate
from edgesmith.errors import EdgesmithError, ExportError
from edgesmith.formats.torchscript import integer_graph
from edgesmith.runtime_table import load
from edgesmith.tasks import store

_PATIENCE_SECONDS = 300
_decomposed = torch.ops.quantized_decomposed


def attempt(kind: str, variant: Path, folder: Path, threads: int) -> str | None:
    """Build `kind` of `variant` into the new `folder`; None, or why it cannot be built here."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "edgesmith.runtime_table.build", kind]
    try:
        done = subprocess.run(
            [*command, str(variant), str(folder), str(threads)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not built within {_PATIENCE_SECONDS} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
    # torch ends its own messages with advice; what happened is the line of the exception.
    return next((line for line in lines if "Error: " in line), lines[-1])[:300]


def build_eager_int8(variant: Path, folder: Path) -> None:
    """Pickle the graph of integer kernels, for this machine alone."""
    torch.save(integer_graph(variant), folder / load.PICKLE)


def build_aotinductor(variant: Path, folder: Path, threads: int) -> None:
    """Compile the network for batch 1 and `threads` threads of this CPU.

    INT8 is the simulated graph in integers (PT2E), which Inductor's passes for x86 lower to oneDNN
    with bias, ReLU6 and residual addition inside. Raises ExportError where there are none.
    """
    net, card = store.load(variant)
    spec = card.network.input
    example = (torch.zeros(1, 3, spec.height, spec.width),)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch announces changes of its own; nothing to act on
        program = _in_integers(variant, net, card) if card.precision == "int8" else net
        torch._inductor.aoti_compile_and_package(
            torch.export.export(program, example),
            package_path=str(folder / load.PACKAGE),
            inductor_configs={"freezing": True, "cpp.threads": threads},
        )


def _in_integers(variant: Path, net: torch.nn.Module, card: store.Card) -> torch.fx.GraphModule:
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        raise ExportError("Inductor's integer passes are for x86 with AVX; here is another CPU")
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e  # noqa: PLC0415 (INT8 alone)

    # Registers the passes. Without it everything compiles too, but to float arithmetic.
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer  # noqa: F401, PLC0415

    quantization, spec = ranges.read(variant), card.network.input
    graph = simulate(net, spec, quantization.scheme)
    give_ranges(graph, quantization.activations)
    # The simulated weights learn their scales when values pass; until then every scale is 1.
    graph(torch.zeros(1, 3, spec.height, spec.width))
    converted: torch.fx.GraphModule = convert_pt2e(graph)
    for node in converted.graph.nodes:
        if node.target in {
            _decomposed.quantize_per_tensor.default,
            _decomposed.dequantize_per_tensor.default,
        }:
            # oneDNN wants uint8: the levels of int8, shifted by 128.
            x, scale, zero, low, high, _ = node.args
            node.args = (x, scale, zero + 128, low + 128, high + 128, torch.uint8)
    converted.recompile()
    return converted


def main() -> None:
    """Build what the command line says."""
    kind, variant, folder, threads = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    # torch's log says on every machine without a GPU that there is none.
    logging.getLogger("torch").setLevel(logging.ERROR)
    torch.set_num_threads(int(threads))
    _, card = store.load(variant)
    files.write_text(folder / load.SPEC, card.network.input.model_dump_json())
    if kind == "eager-int8":
        build_eager_int8(variant, folder)
    else:
        build_aotinductor(variant, folder, int(threads))


if __name__ == "__main__":
    try:
        main()
    except EdgesmithError as error:
        sys.exit(f"{type(error).__name__}: {error}")
