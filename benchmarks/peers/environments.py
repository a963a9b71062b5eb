"""A virtual environment per peer whose dependencies may clash with ours, made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgesmith import files
from edgesmith.errors import RuntimeUnavailableError

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements"
FOLDER = HERE / ".envs"

_READY = "ready"


def python(environment: str | None) -> Path:
    """The interpreter that has the peer; an environment is made, or renewed after a change.

    Raises RuntimeUnavailableError when its packages cannot be installed.
    """
    if environment is None:
        return Path(sys.executable)
    requirements = REQUIREMENTS / f"{environment}.txt"
    folder = FOLDER / environment
    interpreter = folder / "bin/python"
    ready, wanted = folder / _READY, files.sha256(requirements)
    if ready.is_file() and ready.read_text() == wanted:
        return interpreter
    _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder), at=requirements)
    _uv(
        *("pip", "install", "--quiet", "--require-hashes", "--python", str(interpreter)),
        *("-r", str(requirements)),
        at=requirements,
    )
    files.write_text(ready, wanted)
    return interpreter


def _uv(*arguments: str, at: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise RuntimeUnavailableError(
            f"{at.name}: cannot be installed: {lines[0].strip()}; see that the packages it names "
            "can be reached, then run this command again"
        )
