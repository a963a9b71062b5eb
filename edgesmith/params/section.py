"""What every section of `params.yaml` is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Task = Literal["classify", "detect"]


class Section(BaseModel):
    """A part of `params.yaml`: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
