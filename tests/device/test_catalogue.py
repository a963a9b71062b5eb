import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from edgesmith.device.catalogue import reader
from edgesmith.device.catalogue.entry import Entry
from edgesmith.errors import ContractError
from tests.imports import ROOT

ENTRIES = reader.read_all()
MINIMAL = {
    "name": "box",
    "title": "A box",
    "cpu": "any",
    "thermal": {"note": "unknown"},
    "formats": [{"format": "onnx", "precisions": ["int8"], "runtime": "ort", "why": "because"}],
}
FIGURE = {"value": 5, "unit": "fps", "model": "net", "runtime": "ort", "source": "paper"}


def test_all_devices_of_the_project_have_an_entry() -> None:
    assert list(ENTRIES) == [
        *("host", "coral", "jetson-agx-orin", "jetson-nano", "jetson-orin-nano"),
        *("rpi5", "rpi5-hailo8", "rpi5-hailo8l"),
    ]


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))
def test_a_device_other_than_the_host_is_recognised_and_has_pipeline_and_page(
    entry: Entry,
) -> None:
    assert bool(entry.recognise) != (entry.name == "host")
    assert (ROOT / f"devices/{entry.name}/dvc.yaml").is_file()
    pages = "".join(page.read_text() for page in (ROOT / "docs/devices").glob("*.md"))
    for words in ("--single-item devices/", "or devices/"):
        pages = pages.replace(words, "devices/")
    pages = pages.replace("     # devices/", "\ndvc repro devices/")
    assert entry.name == "host" or f"dvc repro devices/{entry.name}/dvc.yaml" in pages


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))
def test_every_source_is_used(entry: Entry) -> None:
    used = {figure.source for figure in entry.published} | {entry.thermal.source}
    assert entry.sources.keys() == used - {""}


def test_a_figure_without_its_source_is_refused() -> None:
    with pytest.raises(ValidationError, match="not one of the sources"):
        Entry.model_validate(MINIMAL | {"published": [FIGURE]})
    sources = {"paper": {"title": "A paper", "url": "https://example.org", "date": "2024-12"}}
    Entry.model_validate(MINIMAL | {"published": [FIGURE], "sources": sources})


def test_a_limit_without_its_source_or_out_of_order_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs its source"):
        Entry.model_validate(MINIMAL | {"thermal": {"soft_c": 80, "note": ""}})
    falling = {"soft_c": 85, "throttle_c": 80, "note": "", "source": "paper"}
    with pytest.raises(ValidationError, match="must rise"):
        Entry.model_validate(MINIMAL | {"thermal": falling})


def test_a_pattern_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"recognise\.board"):
        Entry.model_validate(MINIMAL | {"recognise": {"board": "("}})


def test_an_unknown_device_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ContractError, match="jetson-nano"):
        reader.read("toaster")


def test_a_damaged_or_misnamed_file_names_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "edgesmith/device/catalogue", tmp_path / "catalogue")
    monkeypatch.setattr(reader.resources, "files", lambda _: tmp_path / "catalogue")
    (tmp_path / "catalogue/coral.toml").write_text("name = ")
    with pytest.raises(ContractError, match=r"coral\.toml"):
        reader.read("coral")
    shutil.copy(tmp_path / "catalogue/rpi5.toml", tmp_path / "catalogue/coral.toml")
    with pytest.raises(ContractError, match="its name is 'rpi5'"):
        reader.read("coral")
