import sys
from pathlib import Path

import pytest

from benchmarks.install import start
from benchmarks.install.sizes import Installed
from edgesmith.errors import RuntimeUnavailableError

PYTHON = Path(sys.executable)


def test_what_the_system_has_and_what_slim_removes_do_not_count() -> None:
    one = Installed(
        "aarch64",
        "device-onnx",
        sizes={"numpy": 54, "onnxruntime": 61, "pydantic": 2},
        versions={},
        removable={"numpy": 9, "onnxruntime": 31},
    )
    assert one.total == 117
    assert one.without() == 117 - 40
    assert one.without("numpy") == 117 - 54 - 31


def test_start_is_at_least_what_the_process_counted_itself() -> None:
    code = "import time\nwhile time.process_time() < 0.1: pass"
    assert start.measure(PYTHON, "spin", "-S", "-c", code).cpu_s >= 0.1


def test_command_that_fails_is_no_figure() -> None:
    with pytest.raises(RuntimeUnavailableError, match="status 3"):
        start.measure(PYTHON, "fails", "-c", "raise SystemExit(3)")


def test_imports_are_ranked_by_package() -> None:
    ranked = start.slowest(PYTHON, "import json.decoder, email.message", 40)
    names = [name for name, _ in ranked]
    assert "json" in names and "email" in names and "json.decoder" not in names
    assert [cost for _, cost in ranked] == sorted((cost for _, cost in ranked), reverse=True)
