"""`toolchains/hailo/params.yaml`, parsed once."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgesmith.errors import ParamsError
from edgesmith.hef.archs import DFC_MAJOR, Arch

FILE = Path("toolchains/hailo/params.yaml")
# With fewer images the compiler drops to optimization level 1 and skips fine-tuning.
ENOUGH_IMAGES = 1024


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cell(_Section):
    """A variant to compile; the two values repeat those of params.yaml (dvc.yaml needs them)."""

    task: Literal["classify", "detect"]
    dataset: str


class Finetune(_Section):
    """The compiler's own training of the quantized network, on the calibration images."""

    epochs: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    batch_size: int = Field(gt=0)


class Prepare(_Section):
    """What `prepare` writes."""

    arch: Arch
    calibration_images: int = Field(gt=0)
    accept_fewer_images: bool
    finetune: Finetune
    output_bits: dict[Literal["classify", "detect"], Literal[8, 16]]
    emulated_images: int = Field(gt=0)

    @model_validator(mode="after")
    def _enough(self) -> Prepare:
        if self.calibration_images < ENOUGH_IMAGES and not self.accept_fewer_images:
            raise ValueError(
                f"calibration_images is {self.calibration_images}; with fewer than {ENOUGH_IMAGES} "
                "the compiler skips fine-tuning: raise it, or set accept_fewer_images: true"
            )
        return self


class Compile(_Section):
    """Where the compiler runs, and how much accuracy it may cost."""

    backend: Literal["local", "docker", "bundle"]
    python: str
    image: str
    max_metric_drop: float = Field(ge=0, le=1)


class Settings(_Section):
    """The whole file."""

    prepare: Prepare
    compile: Compile
    hailo: dict[str, Cell]


def load(path: Path = FILE) -> Settings:
    """Parse the file; ParamsError names the key and what it must be."""
    try:
        return Settings.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise ParamsError(f"{path}: {key}: {fault['msg']}") from error


def cell(settings: Settings, variant: str) -> Cell:
    """The entry of a variant; ParamsError where there is none."""
    if variant not in settings.hailo:
        raise ParamsError(f"{FILE}: hailo.{variant} is not defined; add it")
    return settings.hailo[variant]


def dfc_range(arch: Arch) -> tuple[str, str]:
    """Lowest version that is taken, and the first that is not: 3.x for Hailo-8, 5.x after it."""
    major = DFC_MAJOR[arch]
    return f"{major}.0", f"{major + 1}.0"
