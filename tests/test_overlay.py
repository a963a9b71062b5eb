from pathlib import Path

import pytest

from edgesmith import overlay
from edgesmith.errors import ParamsError
from edgesmith.params import load_params
from tests.checkout import PARAMS


@pytest.fixture
def params(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)
    return path


def _apply(params: Path, text: str) -> None:
    path = params.with_name("overlay.yaml")
    path.write_text(text)
    overlay.apply(path, params)


def test_mappings_merge_and_comments_stay(params: Path) -> None:
    _apply(params, "runtime: {threads: 4}\nschedules: {full: {epochs: 1}}\n")
    merged = load_params(params)
    assert merged.runtime.threads == 4 and merged.runtime.providers == ["cpu"]
    assert merged.schedules["full"].epochs == 1 and merged.schedules["full"].batch == 8
    text = params.read_text()
    assert "# Read by every stage." in text
    assert "# The network that everything is compared with." in text
    assert "# for dvc metrics diff" in text


def test_lists_are_replaced(params: Path) -> None:
    _apply(params, "runtime: {providers: [cuda, cpu]}\n")
    assert load_params(params).runtime.providers == ["cuda", "cpu"]


def test_null_removes_a_key(params: Path) -> None:
    _apply(params, "variants: {distilled: null}\n")
    assert "distilled" not in load_params(params).variants


def test_named_sections_are_replaced_whole(params: Path) -> None:
    _apply(
        params,
        """
_replace: [variants, formats, runtimes]
formats: {}
runtimes: {}
variants:
  only:
    {task: classify, step: train, parent: net, teacher: only, baseline: only, dataset: signs,
     schedule: full}
active: {variant: only}
""",
    )
    merged = load_params(params)
    assert list(merged.variants) == ["only"]
    assert merged.active.format == "onnx"
    assert "_replace" not in params.read_text()


def test_alias_of_one_section_is_not_changed_through_another(params: Path) -> None:
    _apply(params, "tolerances: {classify: {int8: {min_sqnr_db: 9}}}\n")
    merged = load_params(params)
    assert merged.tolerances.classify.int8.min_sqnr_db == 9
    assert merged.tolerances.classify.fp32.min_sqnr_db == 1
    assert merged.tolerances.detect.int8.min_sqnr_db == 1


def test_names_within_a_changed_alias_stay_unique(params: Path) -> None:
    # `ncnn: *both` stands for a mapping that holds `&base`.
    _apply(params, "formats: {ncnn: {qat: {task: classify, dataset: signs, baseline: base}}}\n")
    merged = load_params(params)
    assert [list(cells) for _, cells in merged.formats] == [
        ["base", "ptq", "pruned"],
        ["base", "ptq", "pruned", "qat"],
        ["base", "ptq", "pruned"],
    ]
    _apply(params, "formats: {ncnn: {qat: null}}\n")
    assert load_params(params).formats.ncnn.keys() == {"base", "ptq", "pruned"}


def test_invalid_result_changes_nothing_and_names_overlay_and_key(params: Path) -> None:
    with pytest.raises(ParamsError, match=r"overlay\.yaml: merged into .*\n.*runtime\.threads"):
        _apply(params, "runtime: {threads: 0}\n")
    assert params.read_text() == PARAMS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("- 1\n", "must be a mapping"),
        ("_replace: variants\n", "must be a list of sections"),
        ("_replace: [variants]\n", "names variants, which the overlay does not hold"),
    ],
)
def test_faulty_overlay_is_refused(params: Path, text: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        _apply(params, text)
    assert params.read_text() == PARAMS


def test_missing_overlay_is_named(params: Path) -> None:
    with pytest.raises(ParamsError, match=r"missing\.yaml: cannot be read"):
        overlay.apply(params.with_name("missing.yaml"), params)


def test_applying_twice_is_applying_once(params: Path) -> None:
    _apply(params, "runtime: {threads: 4}\n")
    once = params.read_text()
    _apply(params, "runtime: {threads: 4}\n")
    assert params.read_text() == once
