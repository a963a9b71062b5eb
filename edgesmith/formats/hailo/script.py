"""The model script (.alls): what the compiler does to the network before it quantizes it."""

from __future__ import annotations

from edgesmith.formats.hailo.settings import Prepare
from edgesmith.preprocess import Preprocess


def write(spec: Preprocess, outputs: int, bits: int, images: int, settings: Prepare) -> str:
    """The commands, one a line, for a network with so many `outputs` of so many `bits`.

    The chip takes pixels of 0–255 and normalises them itself. Fine-tuning is asked for in so many
    words: the level that implies it is lowered where the compiler finds too few images or no GPU.
    """
    tune = settings.finetune
    lines = [
        f"normalization1 = normalization({_list(spec.mean)}, {_list(spec.std)})",
        f"model_optimization_config(calibration, batch_size={tune.batch_size}, "
        f"calibset_size={images})",
        f"post_quantization_optimization(finetune, policy=enabled, "
        f"learning_rate={tune.learning_rate:.10f}, epochs={tune.epochs}, "
        f"dataset_size={images}, batch_size={tune.batch_size})",
    ]
    precision = {8: "a8_w8", 16: "a16_w16"}[bits]
    lines += [
        f"quantization_param(output_layer{number}, precision_mode={precision})"
        for number in range(1, outputs + 1)
    ]
    return "\n".join(lines) + "\n"


def _list(values: tuple[float, float, float]) -> str:
    return f"[{', '.join(repr(float(value)) for value in values)}]"
