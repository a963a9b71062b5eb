"""Which Edge TPU compiler is here: -> toolchains/edgetpu/tool.json; fails where there is none."""

import re
import subprocess
from pathlib import Path

from edgesmith import files
from edgesmith.edgetpu import compiler
from edgesmith.errors import RuntimeUnavailableError
from stages._run import main


def run() -> None:
    done = subprocess.run(
        [compiler.find(), "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    found = re.search(r"version (\S+)", done.stdout + done.stderr)
    if found is None:
        raise RuntimeUnavailableError(
            "edgetpu_compiler --version names no version: install edgetpu-compiler again"
        )
    files.write_json(Path("toolchains/edgetpu/tool.json"), {"edgetpu_compiler": found[1]})


if __name__ == "__main__":
    main(run)
