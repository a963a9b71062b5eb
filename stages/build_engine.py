"""Build the TensorRT engine of a variant on this machine, and time it with trtexec.

artifacts/<variant>/onnx-trt -> artifacts/<variant>/engine; beside it tmp/tensorrt/: tactics, cache.
The engine is tried with the calibration images in data/<dataset> where they are: no dependency,
for a board may have none, and they change nothing about the engine.
"""

from pathlib import Path

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.params import load_params
from stages._run import main


def run(variant: str, *options: str) -> None:
    try:
        from edgesmith.trt import build, images, trtexec  # noqa: PLC0415 (only where TensorRT is)
    except ModuleNotFoundError as error:
        raise RuntimeUnavailableError(
            f"no engine is built here: the Python package {error.name!r} is missing; engines are "
            "built on the device that runs them: TensorRT comes with JetPack, the rest by "
            "pip install edgesmith[device-tensorrt]"
        ) from error
    params = load_params()
    tolerances = getattr(params.tolerances, params.variants[variant].task)
    source, artifact = (Path("artifacts") / variant / name for name in ("onnx-trt", "engine"))
    work = Path("tmp/tensorrt")
    data = Path("data") / params.variants[variant].dataset
    spec = contracts.read(source).input.preprocess
    contract = build.build(
        source,
        artifact,
        # FP32 engines multiply in TF32, as far from ONNX Runtime as FP16 is; quantized ones round
        # where ONNX Runtime does, and differ by rounding alone.
        min_sqnr_db=min(tolerances.fp16.min_sqnr_db, tolerances.int8.min_sqnr_db),
        trial=images.of(data, spec),
        dla="--dla" in options,
        timing_cache=work / "timing.cache",
        log_file=work / f"{variant}.log",
    )
    print(
        f"{artifact}: {contract.target}, {contract.parity.sqnr_db} dB, agreement "
        f"{contract.parity.agreement:.4f} against {contract.parity.against}"
    )
    timed = trtexec.run(artifact / build.FILE)
    files.write_json(work / f"{variant}.trtexec.json", timed._asdict())
    print(f"{artifact}: trtexec {timed.throughput_qps:.1f} qps, p50 {timed.latency_ms['p50']} ms")


if __name__ == "__main__":
    main(run)
