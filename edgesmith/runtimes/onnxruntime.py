"""ONNX artifacts through ONNX Runtime, on the CPU or another execution provider."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from edgesmith.contract import Description, Input, Output
from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.preprocess import Float32Array
from edgesmith.runtimes import tensors
from edgesmith.runtimes.tensors import Array

# Short name: (ONNX Runtime's name, what to install for it).
PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "xnnpack": ("XnnpackExecutionProvider", "an onnxruntime built with --use_xnnpack"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu in place of onnxruntime"),
    "tensorrt": ("TensorrtExecutionProvider", "onnxruntime-gpu in place of onnxruntime"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino in place of onnxruntime"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime for macOS"),
    "dml": ("DmlExecutionProvider", "onnxruntime-directml in place of onnxruntime"),
    "qnn": ("QNNExecutionProvider", "onnxruntime-qnn in place of onnxruntime"),
    "acl": ("ACLExecutionProvider", "an onnxruntime built with --use_acl"),
}

ENGINE = f"onnxruntime {onnxruntime.__version__}"


class OnnxRuntimeSession:
    """One loaded network; `run` may be called any number of times, from one thread at a time."""

    def __init__(
        self,
        contract: Description,
        session: Any,
        providers: tuple[str, ...],
        threads: int,
    ) -> None:
        """Hold `session`, an `onnxruntime.InferenceSession` whose tensors fit `contract`."""
        self.contract = contract
        self.engine = ENGINE
        self.providers = providers
        self.threads = threads
        self._session = session
        self._outputs = [output.name for output in contract.outputs]

    def run(self, images: Float32Array) -> Float32Array:
        """Logits or predictions, see `Session`, of (N, 3, height, width) float32."""
        return tensors.run(images, self.contract, self.call)

    def call(self, batch: Array) -> list[Array]:
        """The network's own outputs, see `Session`, of a batch in its own form."""
        # `run` hands contiguous numpy memory to the CPU provider without a copy. IO binding was
        # measured against it on MobileNetV2 at 64 px, one thread: 0.02 ms slower of 0.9 ms.
        found: list[Array] = self._session.run(self._outputs, {self.contract.input.name: batch})
        return found


def load(
    artifact: Path, contract: Description, threads: int, providers: Sequence[str]
) -> OnnxRuntimeSession:
    """A session of an artifact whose files were verified.

    `providers` are short names ("cpu", "cuda") or ONNX Runtime's own, best first. Nodes fall back
    to the CPU only where "cpu" is among them. Raises RuntimeUnavailableError for a provider that is
    unknown, not installed or does not start, ContractError for a network unlike its contract.
    """
    names = [provider_name(provider) for provider in providers]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: warnings would mix with a command's own output
    # Workers spin while a network runs: without it two threads took 1.14–1.5 ms in place of
    # 0.83–0.86 (MobileNetV2, 64 px). Out of work they go on for about 30 ms and then sleep; making
    # them stop at the end of every run (session.force_spinning_stop) costs 10 %.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
    if "CPUExecutionProvider" not in names:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    model = contract.model_file(artifact, ".onnx")
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=names)
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise RuntimeUnavailableError(
            f"{model}: {ENGINE} cannot load it on {', '.join(providers)}: {_first_line(error)}; "
            "add cpu to runtime.providers if it lacks an operator"
        ) from error
    active = session.get_providers()
    for name, provider in zip(names, providers, strict=True):
        if name not in active:
            raise RuntimeUnavailableError(
                f"runtime.providers: {provider} is installed but did not start (its libraries or "
                f"its device are missing); active: {', '.join(map(_short_name, active))}"
            )
    _check_tensors(model, contract, session)
    used = tuple(_short_name(name) for name in active if name in names)
    return OnnxRuntimeSession(contract, session, used, threads)


def available_providers() -> list[str]:
    """Short names of the providers that this ONNX Runtime was built with, best first.

    Not the Azure one, which every build lists: it calls a cloud service and runs nothing here.
    """
    return [
        _short_name(name)
        for name in onnxruntime.get_available_providers()
        if name != "AzureExecutionProvider"
    ]


def provider_name(provider: str) -> str:
    """ONNX Runtime's name of a provider; RuntimeUnavailableError if it is not installed here."""
    by_full_name = {full.lower(): full for full, _ in PROVIDERS.values()}
    name = (
        PROVIDERS[provider.lower()][0]
        if provider.lower() in PROVIDERS
        else by_full_name.get(provider.lower(), provider)
    )
    available = available_providers()
    if _short_name(name) in available:
        return name
    remedy = next((install for full, install in PROVIDERS.values() if full == name), None)
    raise RuntimeUnavailableError(
        f"runtime.providers: {provider!r} is not available in {ENGINE}; available: "
        f"{', '.join(available)}; "
        + (f"install {remedy}" if remedy else f"known names: {', '.join(PROVIDERS)}")
    )


def _short_name(name: str) -> str:
    return next((short for short, (full, _) in PROVIDERS.items() if full == name), name)


def _check_tensors(model: Path, contract: Description, session: Any) -> None:
    """The names, dtypes and shapes in the contract must be those of the network."""
    inputs = {tensor.name: tensor for tensor in session.get_inputs()}
    outputs = {tensor.name: tensor for tensor in session.get_outputs()}
    expected: list[tuple[str, Input | Output, dict[str, Any]]] = [
        ("input", contract.input, inputs),
        *[("output", output, outputs) for output in contract.outputs],
    ]
    for kind, spec, found in expected:
        tensor = found.get(spec.name)
        if tensor is None:
            raise ContractError(
                f"{model}: no {kind} is named {spec.name!r} as its contract says; "
                f"it has {', '.join(found)}: export it again"
            )
        # A free dimension is a name or None in ONNX Runtime and -1 in the contract.
        shape = [size if isinstance(size, int) else -1 for size in tensor.shape]
        dtype = _DTYPES.get(tensor.type, tensor.type)
        if dtype != spec.dtype or shape != spec.shape:
            raise ContractError(
                f"{model}: {kind} {spec.name!r} is {dtype} {shape}, its contract says "
                f"{spec.dtype} {spec.shape}: export it again"
            )


_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
