"""PyTorch's integer kernels as modules: 8-bit affine tensors in, 8-bit affine tensors out.

Every tensor between them is quint8 with one scale and zero point, every weight qint8 with one scale
per output channel. Which library computes (oneDNN, FBGEMM, QNNPACK) is decided by
`torch.backends.quantized.engine` when a module is made, unpickled or loaded as TorchScript.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import torch
from torch import nn

quantized = torch.ops.quantized
LEVELS = 255


class Grid(NamedTuple):
    """Real values of a quint8 tensor: (level - zero) * scale, levels 0 to 255."""

    scale: float
    zero: int

    def level(self, value: float) -> int:
        """The level of a real value, of those that exist."""
        return round(min(max(value / self.scale + self.zero, 0), LEVELS))


class Bounds(NamedTuple):
    """What an activation function such as ReLU6 cuts off, in real values."""

    low: float
    high: float

    def cut(self, grid: Grid) -> bool:
        """Whether `grid` has levels outside; if not, the kernel's own saturation is enough."""
        return grid.level(self.low) > 0 or grid.level(self.high) < LEVELS

    def is_relu(self, grid: Grid) -> bool:
        """Whether a kernel with a fused ReLU gives the same."""
        return self.low == 0 and grid.level(self.high) == LEVELS


class Weights(NamedTuple):
    """(out, …) int8 weights, (out,) scales, and (out,) float bias."""

    integers: torch.Tensor
    scales: torch.Tensor
    bias: torch.Tensor | None

    def tensor(self) -> torch.Tensor:
        """The weights as one qint8 tensor."""
        zeros = torch.zeros(len(self.scales), dtype=torch.long)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's deprecation of quantized tensors; see docs
            made: torch.Tensor = torch._make_per_channel_quantized_tensor(
                self.integers, self.scales.double(), zeros, 0
            )
        return made


class Geometry(NamedTuple):
    """Steps of a convolution over (height, width)."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int


class Quantize(nn.Module):
    """(N, …) float32 to quint8."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.scale, self.zero = grid

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, …) float32 to quint8."""
        return torch.quantize_per_tensor(x, self.scale, self.zero, torch.quint8)


class Dequantize(nn.Module):
    """quint8 to float32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, …) quint8 to float32."""
        return x.dequantize()


class _Kernel(nn.Module):
    """An integer operator and the activation function behind it."""

    def __init__(self, name: str, grid: Grid, bounds: Bounds | None) -> None:
        super().__init__()
        self.scale, self.zero = grid
        self.bounds: Bounds | None = None
        if bounds is not None and bounds.cut(grid):
            if bounds.is_relu(grid) and hasattr(quantized, f"{name}_relu"):
                name = f"{name}_relu"
            else:
                self.bounds = bounds
        self.name = name

    def _finish(self, x: torch.Tensor) -> torch.Tensor:
        if self.bounds is None:
            return x
        low, high = (None if math.isinf(bound) else bound for bound in self.bounds)
        clamped: torch.Tensor = quantized.clamp(x, low, high)
        return clamped


class Weighted(_Kernel):
    """A convolution (`geometry`) or linear layer with its weights packed for the engine."""

    def __init__(
        self, weights: Weights, geometry: Geometry | None, grid: Grid, bounds: Bounds | None
    ) -> None:
        super().__init__("linear" if geometry is None else "conv2d", grid, bounds)
        self.weights, self.geometry = weights, geometry
        self.packed = self._pack()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) or (N, C) quint8 to the layer's quint8 output."""
        return self._finish(getattr(quantized, self.name)(x, self.packed, self.scale, self.zero))

    def _pack(self) -> Any:
        weight, bias = self.weights.tensor(), self.weights.bias
        if self.geometry is None:
            return quantized.linear_prepack(weight, bias)
        return quantized.conv2d_prepack(weight, bias, *self.geometry)

    def __getstate__(self) -> dict[str, Any]:
        """Without the packed weights, which belong to one engine."""
        return {**self.__dict__, "packed": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.packed = self._pack()


class Logits(nn.Module):
    """The last linear layer, quint8 to float32.

    Logits have no range in `quantization.json`, and of torch's engines FBGEMM alone writes floats
    from integers. So this layer multiplies the dequantized values in single precision: the same
    numbers, for less than a hundredth of a network's work.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        real = weights.integers.float() * weights.scales.float()[:, None]
        self.weight = nn.Parameter(real, requires_grad=False)
        self.bias = None if weights.bias is None else nn.Parameter(weights.bias, False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) quint8 to (N, classes) float32."""
        return nn.functional.linear(x.dequantize(), self.weight, self.bias)


class Pair(_Kernel):
    """Two quint8 tensors into one: `add` or `mul`."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Two quint8 tensors to one, of the shape that they broadcast to."""
        return self._finish(getattr(quantized, self.name)(x, y, self.scale, self.zero))


class Concatenation(_Kernel):
    """Several quint8 tensors into one along an axis."""

    def __init__(self, axis: int, grid: Grid, bounds: Bounds | None) -> None:
        super().__init__("cat", grid, bounds)
        self.axis = axis

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        """Quint8 tensors to one, joined along the axis."""
        joined = getattr(quantized, self.name)(list(parts), self.axis, self.scale, self.zero)
        return self._finish(joined)


class Curve(_Kernel):
    """One quint8 tensor through a function by table: `hardswish` or `sigmoid`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, …) quint8 to quint8."""
        return self._finish(getattr(quantized, self.name)(x, self.scale, self.zero))
