"""From an ONNX file to a serialized engine, through the Python API that TensorRT and RTX share.

The module is passed in (`tensorrt` or `tensorrt_rtx`), so that the same lines that build on a
Jetson are run against a real parser and builder on any x86-64 host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgesmith.errors import ExportError


class Settings(NamedTuple):
    """How to build. `capabilities`: GPU generations such as 86, of RTX alone; none: this GPU.

    `timing_cache` holds measured kernels of earlier builds; it is read, and written back.
    """

    workspace_mb: int = 1024
    dla: bool = False
    capabilities: Sequence[int] = ()
    timing_cache: Path | None = None
    detailed: bool = False


class Built(NamedTuple):
    """A serialized engine, the timing cache after it, and how many layers the parser made."""

    engine: bytes
    timing_cache: bytes
    layers: int


def logger(trt: Any, say: Callable[[str, str], None]) -> Any:
    """A logger of `trt` that gives `say` each message with its severity, verbose ones included."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            say(str(severity).rpartition(".")[2], message)

    return Logger()


def build(trt: Any, log: Any, model: bytes, settings: Settings) -> Built:
    """Parse and build `model`, the content of an ONNX file, strongly typed.

    Raises ExportError with the parser's or the builder's reason. What the builder says goes to
    `log`, a logger of `trt`.
    """
    builder = trt.Builder(log)
    network = builder.create_network(_flags(trt))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        raise ExportError(_reasons(parser))
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mb << 20)
    if settings.detailed:
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if settings.capabilities:
        _for_capabilities(trt, config, settings.capabilities)
    if settings.dla:
        _on_dla(trt, builder, config)
    cache = _timing_cache(config, settings.timing_cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ExportError(
            "the builder gave no engine; its reason is the last error of the log: more memory for "
            "it (--workspace), fewer layers on the DLA, or another TensorRT"
        )
    after = bytes(memoryview(config.get_timing_cache().serialize())) if cache else b""
    return Built(bytes(memoryview(plan)), after, network.num_layers)


def _flags(trt: Any) -> int:
    """Strong typing is a flag of 10.x; 11 knows no other kind of network."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _for_capabilities(trt: Any, config: Any, capabilities: Sequence[int]) -> None:
    known = dict(trt.ComputeCapability.__members__)
    wanted = [f"SM{number}" for number in capabilities]
    for name in wanted:
        if name not in known:
            raise ExportError(
                f"{name}: not a GPU generation that this TensorRT builds for without one; known: "
                f"{', '.join(sorted(set(known) - {'NONE', 'CURRENT'}))}"
            )
    config.num_compute_capabilities = len(wanted)
    for index, name in enumerate(wanted):
        config.set_compute_capability(known[name], index)


def _on_dla(trt: Any, builder: Any, config: Any) -> None:
    """The DLA where there is one, with the GPU for the layers that it does not take."""
    if not getattr(builder, "num_DLA_cores", 0):
        raise ExportError(
            "this machine, or this TensorRT, has no DLA (10.7 was the last 10.x with one); "
            "build without --dla"
        )
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = 0
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def _timing_cache(config: Any, path: Path | None) -> bool:
    """Whether the build uses a timing cache; one of another version or GPU starts empty."""
    if path is None:
        return False
    content = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(content)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    return True


def _reasons(parser: Any) -> str:
    found = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        node = f"node {error.node_name()} ({error.node_operator()}): " if error.node_name() else ""
        found.append(node + " ".join(error.desc().split()))
    return "; ".join(found) or "the parser refused the model and gave no reason"
