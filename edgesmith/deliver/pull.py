"""From a source to the active release: verify, choose, fetch, test, activate; and back.

Every step leaves the store usable: what was active stays so until all of a new release has passed,
and a pull that was killed is the same pull when it is run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from edgesmith import contract as contracts
from edgesmith.deliver import choose, envelope, fetch, selftest, trust
from edgesmith.deliver import manifest as manifests
from edgesmith.deliver.choose import Choice
from edgesmith.deliver.errors import DeliverError, ManifestError, StoreError
from edgesmith.deliver.manifest import Artifact, Manifest
from edgesmith.deliver.progress import Meter
from edgesmith.deliver.release import Held, Release, SelfTest
from edgesmith.deliver.source.source import Source
from edgesmith.deliver.store import Store
from edgesmith.device.catalogue.entry import Entry
from edgesmith.errors import ContractError


class Request(NamedTuple):
    """What is asked of a source: `machine` is this device's fingerprint, `key` a key to trust.

    Without `variant` and `format`, every variant in the format that the device prefers.
    """

    entry: Entry
    machine: Mapping[str, str]
    variant: str | None = None
    format: str | None = None
    key: str | None = None
    allow_older: bool = False
    keep: int = 3
    attempts: int = fetch.ATTEMPTS
    quiet: bool = False


class Pulled(NamedTuple):
    """What a pull did. `changed` is false when the device had it all already."""

    release: Release
    changed: bool
    skipped: dict[str, str]
    received_bytes: int
    resumed_bytes: int
    freed_bytes: int


def pull(store: Store, source: Source, request: Request, say: Callable[[str], None]) -> Pulled:
    """Make what was published for this device the active release of the store.

    Raises a DeliverError, and leaves the active release as it is, for anything that is not what
    was signed, does not fit the disk, or fails its self-test.
    """
    with store.lock():
        offered, key_id = _manifest(store, source, request)
        choice = choose.choose(
            offered.artifacts, request.entry, request.machine, request.variant, request.format
        )
        if not choice.taken:
            raise _nothing(source, request, choice)
        active = store.active()
        wanted = _wanted(choice, request, active)
        default = _default(offered, wanted, request)
        same = _find_same(store, default, wanted)
        meter = Meter(0, quiet=True)
        if same is None:
            meter = _fetch(store, source, wanted, request)
            number = store.next_number()
            store.drop_after(active.number if active else 0)
            release = _build(store, number, offered, key_id, source, request, wanted, default, say)
        else:
            release = same
        changed = active is None or release.number != active.number
        if changed:
            store.activate(release)
        freed = store.collect(request.keep)
    return Pulled(
        release, changed, choice.skipped, meter.received_bytes, meter.resumed_bytes, freed
    )


def roll_back(store: Store, number: int | None = None) -> tuple[Release, Release]:
    """Activate the release before the active one, or another one; (former, now active).

    What was rolled back from is not pulled again until something newer is published.
    """
    with store.lock():
        active, kept = store.active(), store.kept()
        if active is None:
            raise StoreError(f"{store.root}: nothing is active; `edgesmith pull SOURCE` first")
        candidates = [
            release
            for release in kept
            if (release.number < active.number if number is None else release.number == number)
        ]
        if not candidates:
            known = ", ".join(str(release.number) for release in kept)
            asked = f"release {number}" if number else f"release before {active.number}"
            raise StoreError(
                f"{store.root}: keeps no {asked} (it has {known}); pull with a larger --keep to "
                "have more to go back to"
            )
        target = candidates[-1]
        if target.key_id != active.key_id or target.serial < active.serial:
            trust.reject(store, active.key_id, active.serial)
        store.activate(target)
        return active, target


def _manifest(store: Store, source: Source, request: Request) -> tuple[Manifest, str]:
    """The source's manifest, and the trusted key that signed it."""
    trusted = trust.trusted(store)
    new = trust.given(request.key) if request.key else {}
    origin = f"{source}/{manifests.PATH}"
    opened = envelope.unseal(
        fetch.manifest(store, source, request.attempts), {**trusted, **new}, origin
    )
    offered = manifests.parse(opened.payload, origin)
    for key in new.values():
        trust.remember(store, key)
    trust.accept(store, offered, opened.key_id, origin, request.allow_older)
    return offered, opened.key_id


def _wanted(choice: Choice, request: Request, active: Release | None) -> dict[str, Artifact]:
    """All of the new release, by variant: what is asked for stands beside what is there."""
    if active is None or (request.variant is None and request.format is None):
        return choice.taken
    kept = {
        name: Artifact(
            variant=name,
            format=held.format,
            task=held.task,
            model=held.model,
            precision=held.precision,
            target=held.target,
            files=held.files,
            golden=held.golden,
        )
        for name, held in active.artifacts.items()
    }
    return {**kept, **choice.taken}


def _default(offered: Manifest, wanted: Mapping[str, Artifact], request: Request) -> str:
    """The variant that `current` becomes: the one asked for, else the publisher's, else any."""
    if request.variant is not None:
        return request.variant
    return offered.default if offered.default in wanted else next(iter(wanted))


def _find_same(store: Store, default: str, wanted: dict[str, Artifact]) -> Release | None:
    """An intact release with just this content, the newest first."""
    for release in reversed(store.kept()):
        if release.is_same(default, wanted):
            try:
                for variant in release.artifacts:
                    contracts.verify(store.folder(release, variant))
            except ContractError:  # a card that forgets: fetched again
                continue
            return release
    return None


def _fetch(store: Store, source: Source, wanted: Mapping[str, Artifact], request: Request) -> Meter:
    objects = fetch.missing(store, [part for a in wanted.values() for part in a.objects])
    fetch.require_space(store, objects, sum(a.size_bytes for a in wanted.values()))
    meter = Meter(sum(part.size_bytes for part in objects), request.quiet)
    fetch.fetch(store, source, objects, meter, request.attempts)
    if objects:
        meter.finish()
    return meter


def _build(
    store: Store,
    number: int,
    offered: Manifest,
    key_id: str,
    source: Source,
    request: Request,
    wanted: Mapping[str, Artifact],
    default: str,
    say: Callable[[str], None],
) -> Release:
    """A release of what is in the store, each artifact tested on its golden image."""
    folder = store.begin()
    held = {}
    for variant, artifact in wanted.items():
        for file in artifact.files:
            store.place(file.sha256, folder / variant / file.name)
        _require_as_signed(contracts.verify(folder / variant), artifact)
        found = selftest.test(
            folder / variant,
            store.object(artifact.golden.image.sha256),
            store.object(artifact.golden.output.sha256),
            artifact.golden.min_sqnr_db,
        )
        say(
            f"{artifact.key}: self-test passed, {found.sqnr_db:.1f} dB from what was published, "
            f"loaded in {found.load_ms:.0f} ms ({found.engine})"
        )
        held[variant] = Held(
            format=artifact.format,
            task=artifact.task,
            model=artifact.model,
            precision=artifact.precision,
            target=artifact.target,
            files=artifact.files,
            golden=artifact.golden,
            test=SelfTest(**found._asdict()),
        )
    release = Release(
        number=number,
        serial=offered.serial,
        key_id=key_id,
        source=str(source),
        device=request.entry.name,
        pulled=datetime.now(UTC),
        default=default,
        artifacts=held,
    )
    store.commit(release)
    return release


def _require_as_signed(contract: contracts.Contract, artifact: Artifact) -> None:
    """What decided whether the artifact runs here must be what its own contract says."""
    for name in ("variant", "format", "task", "model", "precision", "target"):
        said, is_so = getattr(artifact, name), getattr(contract, name)
        if said != is_so:
            raise ManifestError(
                f"{artifact.key}: the manifest says {name} {said!r}, its contract {is_so!r}; "
                "publish it again"
            )


def _nothing(source: Source, request: Request, choice: Choice) -> DeliverError:
    reasons = "\n".join(f"  {key}: {reason}" for key, reason in choice.skipped.items())
    return DeliverError(
        f"{source}: publishes nothing that {request.entry.name} can run and was asked for:\n"
        f"{reasons}"
    )
