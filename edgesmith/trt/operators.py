"""Which ONNX operators and opsets which TensorRT takes (docs/operators.md of onnx-tensorrt).

Read for 8.6 and 10.1; a later 10.x takes what 10.1 does. Operators that are not listed as refused
are looked up among ONNX's own: TensorRT takes all others of the default domain.
"""

from __future__ import annotations

from typing import NamedTuple


class Version(NamedTuple):
    """A TensorRT version as its packages number it: 10.3.0 is (10, 3)."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def parse(text: str) -> Version:
    """`10.3`, `10.3.0` or `10.3.0.30` as a version; ValueError for anything else."""
    parts = text.split(".")
    if len(parts) < 2:
        raise ValueError(f"{text!r} is not a TensorRT version; write major.minor, such as 10.3")
    return Version(int(parts[0]), int(parts[1]))


# What JetPack 6 ships, the oldest that builds strongly typed networks on a Jetson.
OLDEST = Version(10, 3)
# The parser says of older ones that they "are not guaranteed to work".
MIN_OPSET = 7
# Last with DLA among 10.x.
LAST_DLA = Version(10, 7)

_REFUSED_10 = frozenset(
    {
        *("AffineGrid", "Bernoulli", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr"),
        *("BitwiseXor", "BlackmanWindow", "Col2Im", "CenterCropPad", "Compress"),
        *("ConcatFromSequence", "ConvInteger", "DFT", "Det", "DynamicQuantizeLinear"),
        *("HammingWindow", "HannWindow", "ImageDecoder", "MatMulInteger", "MaxRoiPool"),
        *("MaxUnpool", "MelWeightMatrix", "Multinomial", "NegativeLogLikelihoodLoss"),
        *("Optional", "OptionalGetElement", "OptionalHasElement", "QLinearConv"),
        *("QLinearMatMul", "RegexFullMatch", "STFT", "SequenceAt", "SequenceConstruct"),
        *("SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap"),
        *("SoftmaxCrossEntropyLoss", "SplitToSequence", "StringConcat", "StringNormalizer"),
        *("StringSplit", "TfIdfVectorizer", "Unique"),
    }
)
# Also missing in 8.6.
_REFUSED_8 = _REFUSED_10 | {
    *("DeformConv", "Gelu", "GroupNormalization", "Hardmax", "IsInf", "LayerNormalization"),
    "Mish",
}


def refused(version: Version) -> frozenset[str]:
    """Operators of ONNX's default domain that this TensorRT has no importer for."""
    return _REFUSED_8 if version.major < 10 else _REFUSED_10


def documented_opset(version: Version) -> int:
    """The newest opset that this TensorRT's own documentation names."""
    return 17 if version.major < 10 else 20
