"""Artifacts small enough to make in a test, run by the real engine.

The network averages each colour over the image and multiplies by WEIGHT: logits = mean @ WEIGHT.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesmith import contract as contracts
from edgesmith.contract import Contract, Input, Output, Parity, Quantization
from edgesmith.preprocess import Preprocess

LABELS = ["red", "green", "blue"]
WEIGHT = np.array([[2, -1, -1], [-1, 2, -1], [-1, -1, 2]], np.float32)
SPEC = Preprocess(height=8, width=12, mean=(127, 127, 127), std=(128, 128, 128))
QUANTIZATION = Quantization(scale=1 / 64, zero_point=128)


def make_artifact(
    folder: Path,
    *,
    variant: str = "tiny",
    format_name: str = "onnx",
    batch: int = 1,
    layout: str = "NCHW",
    quantized: bool = False,
) -> Path:
    """An artifact folder with the network as `model.onnx`."""
    folder.mkdir(parents=True)
    size = [SPEC.height, SPEC.width]
    shape = [batch, 3, *size] if layout == "NCHW" else [batch, *size, 3]
    dtype = "uint8" if quantized else "float32"
    onnx.save(_network(shape, layout, quantized), folder / "model.onnx")
    contracts.write(
        Contract(
            task="classify",
            variant=variant,
            parent="model",
            parent_sha256="0" * 64,
            model="tiny",
            format=format_name,
            precision="int8" if quantized else "fp32",
            target="onnxruntime",
            labels=LABELS,
            input=Input(
                name="image",
                layout=layout,
                dtype=dtype,
                shape=shape,
                preprocess=SPEC,
                quantization=QUANTIZATION if quantized else None,
            ),
            outputs=[
                Output(
                    name="logits",
                    meaning="logits",
                    dtype=dtype,
                    shape=[batch, 3],
                    decode="softmax",
                    quantization=QUANTIZATION if quantized else None,
                )
            ],
            files=contracts.describe_files(folder),
            params=9,
            macs=9,
            tools={"onnx": onnx.__version__},
            parity=Parity(
                against="model",
                images=1,
                max_abs_diff=0,
                sqnr_db=None,
                cosine=1,
                agreement=1,
                metric_drop=0,
                tolerance={},
            ),
        ),
        folder,
    )
    return folder


def expected_logits(images: np.ndarray) -> np.ndarray:
    """What the network gives for (N, 3, H, W) float32, computed in numpy."""
    return images.mean(axis=(2, 3)) @ WEIGHT


def _network(shape: list[int], layout: str, quantized: bool) -> onnx.ModelProto:
    constants = {"weight": WEIGHT}
    nodes = []
    name = "image"
    kind = TensorProto.UINT8 if quantized else TensorProto.FLOAT

    def add(operator: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        output = output or f"t{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    if quantized:
        constants["scale"] = np.array(QUANTIZATION.scale, np.float32)
        constants["zero"] = np.array(QUANTIZATION.zero_point, np.uint8)
        name = add("DequantizeLinear", name, "scale", "zero")
    if layout == "NHWC":
        name = add("Transpose", name, perm=[0, 3, 1, 2])
    name = add("Flatten", add("GlobalAveragePool", name))
    if quantized:
        name = add("MatMul", name, "weight")
        add("QuantizeLinear", name, "scale", "zero", output="logits")
    else:
        add("MatMul", name, "weight", output="logits")
    free = ["N" if size < 0 else size for size in shape]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", kind, free)],
        [helper.make_tensor_value_info("logits", kind, [free[0], 3])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    # IR version 10 is read by every ONNX Runtime since 1.18.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
