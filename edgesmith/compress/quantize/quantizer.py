"""Which tensors of an exported graph are quantized, and which must share one range.

A PT2E quantizer (torchao) of our own, because every format has to be able to take the ranges: integer
kernels of ONNX Runtime, TFLite, NCNN and TensorRT read a convolution's input and write the output
*after* its activation function; additions and concatenations read two quantized inputs; pooling,
reshaping and padding pass values through and so keep their input's range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    QuantizationSpecBase,
    Quantizer,
    SharedQuantizationSpec,
)

aten = torch.ops.aten

Scheme = Literal["affine", "symmetric"]
# Operators by what an integer kernel does with them; `exported` overloads of torch 2.14.
WEIGHTED = {aten.conv2d.default, aten.linear.default, aten.conv2d.padding}
BATCH_NORM = {aten.batch_norm.default}
FUSED_ACTIVATION = {
    aten.relu.default,
    aten.relu_.default,
    aten.hardtanh.default,
    aten.hardtanh_.default,
    aten.clamp.default,
}
# Not fused into the kernel before them: read one quantized tensor and write another.
UNARY = {
    aten.hardswish.default,
    aten.hardswish_.default,
    aten.hardsigmoid.default,
    aten.hardsigmoid_.default,
    aten.silu.default,
    aten.silu_.default,
    aten.sigmoid.default,
}
BINARY = {aten.add.Tensor, aten.add_.Tensor, aten.mul.Tensor, aten.mul_.Tensor}
CONCAT = {aten.cat.default}
# The output holds the input's values, or averages of them.
PASS_THROUGH = {
    aten.adaptive_avg_pool2d.default,
    aten.avg_pool2d.default,
    aten.max_pool2d.default,
    aten.mean.dim,
    aten.flatten.using_ints,
    aten.view.default,
    aten.reshape.default,
    aten.pad.default,
    aten.constant_pad_nd.default,
    aten.dropout.default,
    aten.dropout_.default,
}
