"""Logs as the compiler printed them, found in public issues; NO VENDOR CODE RAN."""

import stat
from pathlib import Path

import pytest

from edgesmith.edgetpu import compiler, log
from edgesmith.errors import ExportError, RuntimeUnavailableError

# Version 15, yolov3-tiny, most of it on the CPU.
CUT = """\
Edge TPU Compiler version 15.0.340273435

Model compiled successfully in 93 ms.

Input model: model.tflite
Input size: 8.43MiB
Output model: model_edgetpu.tflite
Output size: 8.70MiB
On-chip memory used for caching model parameters: 3.00KiB
On-chip memory remaining for caching model parameters: 7.67MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 36
Operation log: model_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of \
the model will instead run on the CPU, which is slower.
Number of operations that will run on Edge TPU: 2
Number of operations that will run on CPU: 34

Operator                       Count      Status

MAX_POOL_2D                    6          More than one subgraph is not supported
QUANTIZE                       2          Operation is otherwise supported, but not mapped due to \
some unspecified limitation
QUANTIZE                       1          Mapped to Edge TPU
QUANTIZE                       1          More than one subgraph is not supported
CONV_2D                        1          Mapped to Edge TPU
CONV_2D                        12         More than one subgraph is not supported
RESIZE_NEAREST_NEIGHBOR        1          Operation version not supported
LEAKY_RELU                     11         Operation not supported
CONCATENATION                  1          More than one subgraph is not supported
"""
# Version 16, all on the Edge TPU (google-coral/edgetpu#572).
WHOLE = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 542 ms.

Input model: quantized_model.tflite
Input size: 4.04MiB
Output model: quantized_model_edgetpu.tflite
Output size: 4.13MiB
On-chip memory used for caching model parameters: 604.50KiB
On-chip memory remaining for caching model parameters: 511.50KiB
Off-chip memory used for streaming uncached model parameters: 3.45MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 50
Operation log: quantized_model_edgetpu.log
See the operation log file for individual operation details.
Compilation child process completed within timeout period.
Compilation succeeded!
"""
# google-coral/edgetpu#879.
TOO_NEW = """\
Edge TPU Compiler version 16.0.384591198
ERROR: Didn't find op for builtin opcode 'QUANTIZE' version '3'. An older version of this builtin \
might be supported. Are you using an old TFLite binary with a newer model?

ERROR: Registration failed.

Invalid model: quantized_model.tflite
Model could not be parsed
"""


def test_table_and_memory_are_read() -> None:
    found = log.parse(CUT)
    assert (found.operators, found.on_edgetpu, found.subgraphs) == (36, 2, 1)
    assert found.cached_bytes == 3072 and found.streamed_bytes == 0
    assert sum(row.times for row in found.rows) == 36
    assert sum(row.times for row in found.rows if row.status == log.MAPPED) == 2


def test_log_without_a_table_means_that_all_is_mapped() -> None:
    found = log.parse(WHOLE)
    assert found.on_edgetpu == found.operators == 50 and found.rows == []
    assert found.streamed_bytes == round(3.45 * 2**20) and found.version == "16.0.384591198"


def test_refusal_is_an_error_with_the_compilers_reason() -> None:
    with pytest.raises(ExportError, match=r"'QUANTIZE' version '3'.*Invalid model"):
        log.parse(TOO_NEW)


def test_output_of_anything_else_is_an_error() -> None:
    with pytest.raises(ExportError, match="gave no reason"):
        log.parse("command not found")


def test_host_without_the_compiler_says_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeUnavailableError, match="x86-64 Debian"):
        compiler.find()


def test_success_without_a_file_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log.txt").write_text(WHOLE)
    script = tmp_path / "edgetpu_compiler"
    script.write_text(f'#!/bin/sh\nwhile read line; do echo "$line"; done < {tmp_path}/log.txt\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match=r"no .*quantized_model_edgetpu"):
        compiler.compile_model(tmp_path / "quantized_model.tflite", tmp_path)
