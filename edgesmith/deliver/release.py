"""What a store's release folder holds: `release.json`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edgesmith import files
from edgesmith.contract import Precision
from edgesmith.deliver.errors import StoreError
from edgesmith.deliver.manifest import Artifact, Golden, Name
from edgesmith.deliver.manifest import File as PublishedFile

FILE = "release.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SelfTest(_Part):
    """How the artifact did on its golden image on this device."""

    sqnr_db: float
    load_ms: float
    run_ms: float
    engine: str


class Held(_Part):
    """One artifact of a release; its folder is named by the variant."""

    format: Name
    task: Literal["classify", "detect"]
    model: str
    precision: Precision
    target: str
    files: tuple[PublishedFile, ...]
    golden: Golden
    test: SelfTest

    def is_same(self, artifact: Artifact) -> bool:
        """Whether it holds what the artifact holds."""
        own = {file.name: file.sha256 for file in self.files}
        return self.format == artifact.format and own == {
            file.name: file.sha256 for file in artifact.files
        }


class Release(_Part):
    """One set of artifacts that passed its self-test and was, or is, active.

    `serial` and `key_id` are of the manifest that it came from; `default` is what `current` is.
    """

    version: Literal[1] = 1
    number: int = Field(ge=1)
    serial: int
    key_id: str
    source: str
    device: str
    pulled: datetime
    default: Name
    artifacts: dict[Name, Held] = Field(min_length=1)

    @property
    def hashes(self) -> set[str]:
        """Objects that it needs to stay whole and to be tested again."""
        return {
            part.sha256
            for held in self.artifacts.values()
            for part in (*held.files, held.golden.image, held.golden.output)
        }

    def is_same(self, default: str, artifacts: dict[str, Artifact]) -> bool:
        """Whether it holds just these artifacts, and the same one as `current`."""
        return (
            self.default == default
            and self.artifacts.keys() == artifacts.keys()
            and all(held.is_same(artifacts[name]) for name, held in self.artifacts.items())
        )


def read(folder: Path) -> Release:
    """Parse the record of a release folder; StoreError when it is missing or damaged."""
    return files.read_record(
        folder / FILE,
        Release,
        StoreError,
        missing="remove the folder and pull again",
        damaged="written by another version of edgesmith or damaged: remove the folder and pull "
        "again",
    )
