"""The folder of a profile: `trace.json`, `summary.json`, `comparison.json` and pictures."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from edgesmith import files
from edgesmith.errors import ContractError, DataError, RuntimeUnavailableError
from edgesmith.profile import chrome, compare, summary
from edgesmith.profile.compare import Comparison
from edgesmith.profile.summary import Summary
from edgesmith.profile.take import Profile
from edgesmith.profile.words import against

OTHER = "against.json"


def refuse_existing(folder: Path) -> None:
    """DataError where something would be written over."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: exists; name another --out, or remove it")


def write(folder: Path, profiles: Sequence[Profile]) -> Comparison | None:
    """Write one profile, or two and their comparison, which is returned."""
    pair = None
    with files.output_folder(folder) as work:
        labels = [
            f"{number}: {profile.summary.subject.label}"
            for number, profile in enumerate(profiles, 1)
        ]
        recordings = [profile.recording for profile in profiles]
        text = chrome.text(dict(zip(labels, recordings, strict=True)))
        files.write_text(work / chrome.FILE, text)
        for number, profile in enumerate(profiles, 1):
            if profile.recording.native:
                files.write_text(work / f"native-{number}.json", profile.recording.native)
        for name, profile in zip((summary.FILE, OTHER), profiles, strict=False):
            files.write_json(work / name, profile.summary.model_dump(mode="json"))
        if len(profiles) > 1:
            pair = compare.compare(profiles[0].summary, profiles[1].summary)
            pair = pair.model_copy(update={"words": against(pair)})
            files.write_json(work / compare.FILE, pair.model_dump(mode="json"))
    return pair


def read(folder: Path) -> tuple[Summary, Comparison | None]:
    """What `write` wrote; ContractError for a folder that is none."""
    found = summary.read(folder)
    if not (folder / compare.FILE).is_file():
        return found, None
    pair = files.read_record(
        folder / compare.FILE,
        Comparison,
        ContractError,
        missing="profile again",
        damaged="it was written by another version of edgesmith or damaged: profile again",
    )
    return found, pair


def draw(folder: Path) -> list[Path]:
    """Draw the pictures of a profile's folder.

    RuntimeUnavailableError where matplotlib is not installed, as on devices.
    """
    found, pair = read(folder)
    if importlib.util.find_spec("matplotlib") is None:
        raise RuntimeUnavailableError(
            "matplotlib is not installed here; copy the folder to a build host and run "
            f"`edgesmith profile --plot {folder}`, or pip install matplotlib"
        )
    from edgesmith.profile import plot  # noqa: PLC0415 (no device has matplotlib)

    pictures = {"where.png": plot.where_png(found), "timeline.png": plot.timeline_png(found)}
    if pair is not None:
        pictures["against.png"] = plot.against_png(pair)
    for name, content in pictures.items():
        files.write_bytes(folder / name, content)
    return [folder / name for name in pictures]
