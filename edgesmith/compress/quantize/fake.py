"""Simulated 8-bit tensors in a PT2E graph (Jacob et al., 2018, arXiv:1712.05877).

One module plays observer and fake quantizer, for calibration and for training: what it has learned
is a range (minimum, maximum), from which scale and zero point follow by `ranges.affine`.
"""

from __future__ import annotations

from typing import Any

import torch
from torchao.quantization.pt2e import FakeQuantizeBase

from edgesmith.compress.quantize.ranges import BINS, EPSILON, Range

# Share of the newest batch in a learned range.
AVERAGING = 0.01


class _Simulated(FakeQuantizeBase):  # type: ignore[misc]
    """A tensor under its range key, with what torchao reads of a fake quantizer."""

    def __init__(
        self,
        key: str,
        dtype: torch.dtype,
        quant_min: int,
        quant_max: int,
        qscheme: torch.qscheme,
        ch_axis: int = -1,
        is_dynamic: bool = False,
        **_: Any,
    ) -> None:
        super().__init__()
        self.key = key
        self.dtype = dtype
        self.quant_min, self.quant_max = quant_min, quant_max
        self.qscheme = qscheme
        self.ch_axis = ch_axis
        self.is_dynamic = is_dynamic


class TensorRange(_Simulated):
    """The range of one activation tensor.

    `stage` says what a forward pass does beside simulating: `extremes` widens the range to what is
    seen, `histogram` counts values into BINS equal bins of that range, `average` moves the range
    towards the batch's, `fixed` nothing. A range that is given (`fixed`) stays at every stage.
    """

    def __init__(self, fixed: Range | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.stage = "fixed"
        self.given = fixed
        self.register_buffer("low", torch.tensor(fixed.low if fixed else 0.0))
        self.register_buffer("high", torch.tensor(fixed.high if fixed else 0.0))
        self.register_buffer("histogram", torch.zeros(BINS), persistent=False)

    low: torch.Tensor
    high: torch.Tensor
    histogram: torch.Tensor

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Scale (float32) and zero point (int32), one element each."""
        if self.qscheme == torch.per_tensor_symmetric:
            scale = torch.maximum(-self.low, self.high) / self.quant_max
            return scale.clamp(min=EPSILON).reshape(1), torch.zeros(1, dtype=torch.int32)
        scale = ((self.high - self.low) / (self.quant_max - self.quant_min)).clamp(min=EPSILON)
        zero = (self.quant_min - torch.round(self.low / scale)).clamp(
            self.quant_min, self.quant_max
        )
        return scale.reshape(1), zero.to(torch.int32).reshape(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Observe as `stage` says, then round `x` to the range's 255 or 256 levels."""
        if self.stage != "fixed" and self.given is None:
            self._observe(x.detach())
        if not self.fake_quant_enabled:
            return x
        scale, zero = (value.item() for value in self.calculate_qparams())
        return _Rounded.apply(x, scale, self.quant_min - zero, self.quant_max - zero)  # type: ignore[no-any-return]

    def _observe(self, x: torch.Tensor) -> None:
        if self.stage == "histogram":
            span = (self.high - self.low).item()
            if span > 0:
                self.histogram += torch.histc(x.float(), BINS, self.low.item(), self.high.item())
            return
        low, high = torch.aminmax(x)
        low, high = low.clamp(max=0), high.clamp(min=0)
        if self.stage == "extremes":
            self.low.copy_(torch.minimum(self.low, low))
            self.high.copy_(torch.maximum(self.high, high))
        else:
            self.low.lerp_(low, AVERAGING)
            self.high.lerp_(high, AVERAGING)


class PerChannelWeight(_Simulated):
    """A layer's weights, symmetric with one scale per output channel, always from their extremes.

    torchao hands `ch_axis` to classes whose name holds "PerChannel".
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.register_buffer("scale", torch.ones(1))

    scale: torch.Tensor

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Scales (channels,) float32 and zero points (channels,) int32."""
        return self.scale, torch.zeros_like(self.scale, dtype=torch.int32)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Round each channel to 255 levels of its largest magnitude."""
        self.scale = weight_scales(weight, self.quant_max)
        if not self.fake_quant_enabled:
            return weight
        return _RoundedWeight.apply(weight, self.scale)  # type: ignore[no-any-return]


# torch.fake_quantize_per_tensor_affine and its per-channel sister give the same values, but on a
# CPU element by element: 27 ms for what takes 3.5 ms here (3.5 million values, two threads), which
# was half of a training step.
class _Rounded(torch.autograd.Function):
    """Levels of an activation; gradients pass where the value lies inside (Bengio et al., 2013)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scale: float, low: int, high: int) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = ((low - 0.5) * scale, (high + 0.5) * scale)
        return torch.mul(x, 1 / scale).round_().clamp_(low, high).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, x, *ctx.bounds), None, None, None


class _RoundedWeight(torch.autograd.Function):
    """Levels of a weight whose scales follow its extremes: no value lies outside."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        per_channel = scale.reshape(-1, *[1] * (weight.dim() - 1))
        return torch.div(weight, per_channel).round_().mul_(per_channel)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


def weight_scales(weight: torch.Tensor, quant_max: int = 127) -> torch.Tensor:
    """Scale (channels,) of a (channels, …) weight: largest magnitude / 127."""
    largest = weight.detach().abs().flatten(1).amax(1)
    return (largest / quant_max).clamp(min=EPSILON)
