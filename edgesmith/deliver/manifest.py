"""What was published: every artifact's files with hash, size and place, as signed JSON.

All names are checked against patterns without a separator or a leading dot, and all sizes against
ceilings, before anything is fetched or written: nothing in a manifest can lead out of the store.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgesmith import contract as contracts
from edgesmith.contract import Precision
from edgesmith.deliver.errors import ManifestError

# Below the root of a DVC remote, beside `files/`, which is all that DVC itself touches there.
PATH = "edgesmith/manifest.json"
OBJECTS = "edgesmith/objects"
VERSION = 1

# 24 variants in 4 formats are 80 kB.
MAX_BYTES = 4 << 20
_MAX_ARTIFACTS, _MAX_FILES = 1000, 32
_MAX_OBJECT_BYTES = 4 << 30
_MAX_GOLDEN_BYTES = 16 << 20

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,99}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Where DVC keeps a file, or where `edgesmith publish` lays what DVC does not know.
Place = Annotated[
    str, Field(pattern=r"^(files/md5/[0-9a-f]{2}/[0-9a-f]{30}|edgesmith/objects/[0-9a-f]{64})$")
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Object(_Part):
    """One content: its hash, its size, and its path below the root of the source."""

    sha256: Sha256
    size_bytes: int = Field(ge=0, le=_MAX_OBJECT_BYTES)
    place: Place


class File(Object):
    """One file of an artifact's folder."""

    name: FileName


class Golden(_Part):
    """An image, and what the artifact says of it where it was published.

    `image` is a PNG that fits the network already, so that the way one processor resizes an image
    does not count; `output` an .npy of float32, what `runtimes.session.predict` gives for it.
    `min_sqnr_db`: the least power of `output` over that of the device's difference from it.
    """

    image: Object
    output: Object
    min_sqnr_db: float = Field(ge=0, le=200)
    engine: str

    @model_validator(mode="after")
    def _small(self) -> Golden:
        for part in (self.image, self.output):
            if part.size_bytes > _MAX_GOLDEN_BYTES:
                raise ValueError(f"{part.size_bytes} bytes for a self-test; {_MAX_GOLDEN_BYTES=}")
        return self


class Artifact(_Part):
    """One variant in one format, with what decides whether a device can run it."""

    variant: Name
    format: Name
    task: Literal["classify", "detect"]
    model: str
    precision: Precision
    target: str
    files: tuple[File, ...] = Field(min_length=2, max_length=_MAX_FILES)
    golden: Golden

    @property
    def key(self) -> str:
        """`variant/format`, as in the artifact's path."""
        return f"{self.variant}/{self.format}"

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def objects(self) -> tuple[Object, ...]:
        """Everything to fetch: files, golden image, expected output."""
        return (*self.files, self.golden.image, self.golden.output)

    @model_validator(mode="after")
    def _whole(self) -> Artifact:
        names = [file.name for file in self.files]
        if len(set(names)) != len(names) or contracts.FILE not in names:
            raise ValueError(f"{self.key}: files must be distinct and hold {contracts.FILE}")
        return self


class Manifest(_Part):
    """One publication. `serial` only ever rises; `default` is the variant that `current` is."""

    version: Literal[1] = 1
    serial: int = Field(ge=1, lt=1 << 53)
    created: AwareDatetime
    expires: AwareDatetime | None = None
    revision: str = Field(default="", max_length=200)
    default: Name
    artifacts: tuple[Artifact, ...] = Field(min_length=1, max_length=_MAX_ARTIFACTS)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        keys = [artifact.key for artifact in self.artifacts]
        if len(set(keys)) != len(keys):
            raise ValueError("an artifact is listed twice")
        if self.default not in {artifact.variant for artifact in self.artifacts}:
            raise ValueError(f"default {self.default!r} is not among the artifacts")
        sizes: dict[str, int] = {}
        for artifact in self.artifacts:
            for part in artifact.objects:
                if sizes.setdefault(part.sha256, part.size_bytes) != part.size_bytes:
                    raise ValueError(f"{part.sha256}: two sizes for one content")
        return self


def canonical(manifest: Manifest) -> bytes:
    """The bytes that are signed: JSON with sorted keys and no spaces, UTF-8."""
    value = manifest.model_dump(mode="json", exclude_none=True)
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def parse(content: bytes, origin: str) -> Manifest:
    """The manifest in bytes whose signature was checked; ManifestError says what is wrong."""
    try:
        value: Any = json.loads(content)
    except (ValueError, RecursionError) as fault:
        raise ManifestError(f"{origin}: not JSON ({fault}); publish again") from fault
    version = value.get("version") if isinstance(value, dict) else None
    if version != VERSION:
        raise ManifestError(
            f"{origin}: a manifest of version {version!r}, and this edgesmith reads version "
            f"{VERSION}; pip install --upgrade edgesmith here, or publish with the version that "
            "the devices have"
        )
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as fault:
        first = fault.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the manifest"
        raise ManifestError(
            f"{origin}: {key}: {first['msg']}; publish again with this version of edgesmith"
        ) from fault


def require_fresh(manifest: Manifest, origin: str, now: datetime | None = None) -> None:
    """ManifestError when the manifest's time is over."""
    now = now or datetime.now(UTC)
    if manifest.expires is not None and manifest.expires <= now:
        raise ManifestError(
            f"{origin}: expired on {manifest.expires:%Y-%m-%d %H:%M} UTC, and it is "
            f"{now:%Y-%m-%d %H:%M} here; publish again, set this device's clock if it is wrong "
            "(timedatectl), or take it all the same with --allow-older"
        )
