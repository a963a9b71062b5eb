"""Stages as forks of a process that has the heavy libraries imported.

`python -m stages.export_onnx …` spends half of its time on importing torch and what goes with it.
A fork has them already. It imports edgesmith itself, so that it runs the code as it is now, and
shares nothing else with other stages.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import runpy
import shlex
import signal
import sys
import traceback
from pathlib import Path

from dvc.stage import run
from dvc.stage.exceptions import StageCmdFailedError

# None of them starts threads of its own when imported, but for OpenBLAS, which stops its before a
# fork; ONNX Runtime does and is left out.
_LIBRARIES = (
    "numpy", "cv2", "pydantic", "tqdm", "torch", "torch._dynamo", "torchvision", "onnxscript",
    "onnxslim", "torchao.quantization.pt2e.quantize_pt2e", "torch_pruning", "matplotlib.figure",
    "ultralytics.nn.tasks", "ultralytics.utils.loss", "faster_coco_eval",
)  # fmt: skip
_as_program = run._run


def install() -> None:
    """Import the libraries, and let DVC's own code run stages as forks of this process."""
    for name in _LIBRARIES:
        # What an extra brings may be missing: a stage that needs it says so.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    run._run = _run


def _run(executable: str, command: str, *, cwd: str, env: dict[str, str], **others: object) -> None:
    words = shlex.split(command)
    # What measures is not disturbed by what a fork would bring along.
    if words[:2] != ["python", "-m"] or words[2].startswith("stages.benchmark"):
        _as_program(executable, command, cwd=cwd, env=env, **others)
        return
    # As DVC does: Ctrl-C is for the stage, which says what it kept.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os._exit(_become(words[2], words[3:], Path(cwd), env))
    _, status = os.waitpid(child, 0)
    signal.signal(signal.SIGINT, handler)
    if status:
        raise StageCmdFailedError(command, os.waitstatus_to_exitcode(status))


def _become(module: str, arguments: list[str], folder: Path, env: dict[str, str]) -> int:
    """Run `module` as `python -m` does in `folder`; its exit status."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path[0] = str(folder)
    sys.argv = [module, *arguments]
    status = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status
