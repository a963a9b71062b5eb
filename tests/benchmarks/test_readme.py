from pathlib import Path

import pytest

from benchmarks import readme
from edgesmith.errors import ParamsError
from tests.imports import ROOT


@pytest.mark.parametrize("name", ["strategies", "detect", "formats", "diff"])
def test_tables_of_the_readme_are_those_of_the_metrics(name: str) -> None:
    text = (ROOT / "README.md").read_text()
    lines = readme.sections(ROOT)[name]
    assert len(lines) > 5
    assert "\n".join(lines) in text, "run `python -m benchmarks.readme`"


def test_comparison_without_a_chapter_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/comparison.md").write_text("# Comparison of strategies\n")
    with pytest.raises(ParamsError, match="mobilenetv2-baseline`; run `dvc repro`"):
        readme.sections(tmp_path)
