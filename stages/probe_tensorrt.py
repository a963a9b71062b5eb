"""Which GPU and TensorRT are here: -> toolchains/tensorrt/tool.json; fails where there is none."""

from pathlib import Path

from edgesmith import files
from edgesmith.errors import RuntimeUnavailableError
from stages._run import main


def run() -> None:
    try:
        from edgesmith.runtimes import tensorrt  # noqa: PLC0415 (only where TensorRT is)
    except ModuleNotFoundError as error:
        raise RuntimeUnavailableError(
            f"no engine is built here: the Python package {error.name!r} is missing; TensorRT "
            "comes with JetPack, the rest by pip install edgesmith[device-tensorrt]"
        ) from error
    found = {"machine": tensorrt.here().model_dump()}
    files.write_json(Path("toolchains/tensorrt/tool.json"), found)


if __name__ == "__main__":
    main(run)
