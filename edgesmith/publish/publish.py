"""From a checkout to a signed manifest beside the DVC remote."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edgesmith import files
from edgesmith.deliver import envelope, keys, manifest
from edgesmith.deliver.errors import DeliverError, PublishError
from edgesmith.deliver.manifest import Artifact, Manifest
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.params import Params, load_params
from edgesmith.publish import describe, references
from edgesmith.publish.checkout import Checkout, Remote, Tracked, open_checkout
from edgesmith.publish.describe import Described

_SERIAL = ".serial"
_ORDER = ("onnx",)  # first: what stands in for formats that do not run here


class Request(NamedTuple):
    """What is published: variants and formats, all by default, of a remote (else the default)."""

    folder: Path
    keys: Sequence[Path]
    variants: Sequence[str] = ()
    formats: Sequence[str] = ()
    remote: str | None = None
    cache: bool = False
    output: Path | None = None
    golden: Path | None = None
    default: str | None = None
    valid_days: int | None = None


class Published(NamedTuple):
    """What was written, where, and whose signature it has. `left_out`: artifact to reason."""

    manifest: Manifest
    path: Path
    key_texts: list[str]
    left_out: dict[str, str]
    beside_remote: bool


def publish(request: Request, say: Callable[[str], None]) -> Published:
    """Write the signed manifest of a checkout's artifacts.

    PublishError for an artifact that is stale, not in the remote, or damaged there.
    """
    signers = [keys.load(path) for path in request.keys]
    params = load_params(request.folder / "params.yaml")
    with open_checkout(request.folder) as checkout:
        tracked = _selected(checkout.artifacts(), request)
        _require_current(checkout, tracked)
        remote = checkout.cache() if request.cache else checkout.remote(request.remote)
        _require_in_remote(remote, tracked)
        root = request.output or remote.folder
        if root is None:
            raise PublishError(
                f"remote {remote.name!r} is no folder of this machine; name a folder with "
                "--output, and copy what is written there to the remote's root, beside files/"
            )
        revision = checkout.revision
        artifacts, left_out = _artifacts(request, tracked, remote, root, params, say)
    if not artifacts:
        reasons = "; ".join(f"{key}: {reason}" for key, reason in left_out.items())
        raise PublishError(f"nothing to publish: {reasons}")
    path = root / manifest.PATH
    now = datetime.now(UTC)
    made = Manifest(
        serial=_next_serial(path, request.keys, signers),
        created=now,
        expires=None if request.valid_days is None else now + timedelta(days=request.valid_days),
        revision=revision,
        default=_default(request, params, artifacts),
        artifacts=tuple(artifacts),
    )
    content = envelope.seal(manifest.canonical(made), signers)
    if len(content) > manifest.MAX_BYTES:
        raise PublishError(
            f"{len(artifacts)} artifacts are a manifest of {len(content) / 1e6:.1f} MB, and "
            f"devices take {manifest.MAX_BYTES / 1e6:.1f}; publish fewer with --variant"
        )
    for key in request.keys:  # first: a serial that is lost is no harm, one used twice is
        files.write_text(key.with_name(key.name + _SERIAL), f"{made.serial}\n")
    files.write_bytes(path, content)
    texts = [keys.public_text(key.public_key()) for key in signers]
    return Published(made, path, texts, left_out, request.output is None)


def _selected(known: Sequence[Tracked], request: Request) -> list[Tracked]:
    for option, asked, there in (
        ("--variant", request.variants, {artifact.variant for artifact in known}),
        ("--format", request.formats, {artifact.format for artifact in known}),
    ):
        for name in asked:
            if name not in there:
                raise PublishError(
                    f"{option} {name}: no stage of this checkout made it; there are "
                    f"{', '.join(sorted(there)) or 'none: dvc repro'}"
                )
    found = [
        artifact
        for artifact in known
        if (not request.variants or artifact.variant in request.variants)
        and (not request.formats or artifact.format in request.formats)
    ]
    if not found:
        raise PublishError(f"{request.folder}: no lock file knows such an artifact; dvc repro")
    return sorted(found, key=lambda a: (a.variant, a.format not in _ORDER, a.format))


def _require_current(checkout: Checkout, tracked: Sequence[Tracked]) -> None:
    stale = checkout.stale(tracked)
    if stale:
        lines = "\n".join(f"  {stage}: {', '.join(what)}" for stage, what in stale.items())
        raise PublishError(
            f"artifacts differ from what dvc.lock says of them:\n{lines}\n"
            "run `dvc repro`, commit the lock files and `dvc push`, then publish"
        )


def _require_in_remote(remote: Remote, tracked: Sequence[Tracked]) -> None:
    lacking = remote.lacks(sorted({file.md5 for artifact in tracked for file in artifact.files}))
    names = [
        f"artifacts/{artifact.variant}/{artifact.format}"
        for artifact in tracked
        if any(file.md5 in lacking for file in artifact.files)
    ]
    if names:
        shown = " ".join(names[:5]) + (" …" if len(names) > 5 else "")
        raise PublishError(
            f"{remote.name} lacks files of {len(names)} artifact(s); dvc push {shown}"
        )


def _artifacts(
    request: Request,
    tracked: Sequence[Tracked],
    remote: Remote,
    root: Path,
    params: Params,
    say: Callable[[str], None],
) -> tuple[list[Artifact], dict[str, str]]:
    found, left_out = [], {}
    with tempfile.TemporaryDirectory(prefix="edgesmith-publish-") as scratch:
        given = references.References(root, Path(scratch))
        for number, artifact in enumerate(tracked, 1):
            folder = Path(scratch) / artifact.variant / artifact.format
            described = describe.describe(artifact, remote, folder)
            dataset = _dataset(request.folder, params, artifact.variant)
            image = references.image_of(described, request.golden, dataset)
            key = f"{artifact.variant}/{artifact.format}"
            try:
                golden = given.of(described, image)
            except RuntimeUnavailableError as fault:
                left_out[key] = f"cannot be run here, and its variant not in ONNX either: {fault}"
                continue
            found.append(_artifact(described, golden))
            say(f"{number}/{len(tracked)} {key}: {found[-1].size_bytes / 1e6:.2f} MB")
    return found, left_out


def _artifact(described: Described, golden: manifest.Golden) -> Artifact:
    contract = described.contract
    return Artifact(
        variant=contract.variant,
        format=contract.format,
        task=contract.task,
        model=contract.model,
        precision=contract.precision,
        target=contract.target,
        files=described.files,
        golden=golden,
    )


def _dataset(folder: Path, params: Params, variant: str) -> Path | None:
    known = params.variants.get(variant)
    return None if known is None else folder / "data" / known.dataset


def _default(request: Request, params: Params, artifacts: Sequence[Artifact]) -> str:
    """The variant that `current` is on a device: asked for, else the active cell's, else any."""
    there = {artifact.variant for artifact in artifacts}
    if request.default is not None and request.default not in there:
        raise PublishError(
            f"--default {request.default}: not among what is published: {', '.join(sorted(there))}"
        )
    active = params.active.variant
    return request.default or (active if active in there else artifacts[0].variant)


def _next_serial(path: Path, key_files: Sequence[Path], signers: list[Ed25519PrivateKey]) -> int:
    """Above every serial known here, and at least the time: no state has to survive for it."""
    known = [0]
    for key in key_files:
        file = key.with_name(key.name + _SERIAL)
        if file.is_file() and (text := file.read_text().strip()).isdigit():
            known.append(int(text))
    if path.is_file():
        own = {keys.identity(key.public_key()): key.public_key() for key in signers}
        try:
            opened = envelope.unseal(path.read_bytes(), own, str(path))
            known.append(manifest.parse(opened.payload, str(path)).serial)
        except DeliverError:  # somebody else's or damaged: about to be replaced
            pass
    return max(int(time.time()), max(known) + 1)
