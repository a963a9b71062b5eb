import sys
from pathlib import Path

import pytest

from edgesmith.device import slim

FILES = {
    "onnxruntime/__init__.py": "",
    "onnxruntime/capi/libonnxruntime.so.1.32.0": "C" * 5000,
    "onnxruntime/capi/onnxruntime_pybind11_state.so": "Python",
    "onnxruntime/tools/symbolic/shape.py": "",
    "onnxruntime/tools/symbolic/__pycache__/shape.cpython-311.pyc": "",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site-packages folder as pip leaves it, and one file that no distribution owns."""
    _install(tmp_path, "onnxruntime", "1.32.0", FILES)
    _install(tmp_path, "other", "1.0", {"other/tests/test_it.py": ""})
    stray = tmp_path / "onnxruntime/tools/mine.py"
    stray.write_text("")
    return tmp_path


def _install(site: Path, name: str, version: str, files: dict[str, str]) -> None:
    info = site / f"{name}-{version}.dist-info"
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(content)
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in [*files, f"{info.name}/RECORD"]))


def _left(site: Path) -> set[str]:
    return {
        str(path.relative_to(site))
        for path in site.rglob("*")
        if path.is_file() and ".dist-info" not in str(path)
    }


def test_list_names_what_no_command_opens_with_its_size(site: Path) -> None:
    found = slim.find(site)
    names = [path.name for one in found for path in one.files]
    assert "libonnxruntime.so.1.32.0" in names and "shape.py" in names
    assert "onnxruntime_pybind11_state.so" not in names
    assert found[0].version == "1.32.0" and found[0].bytes >= 5000
    assert _left(site) == {*FILES, "other/tests/test_it.py", "onnxruntime/tools/mine.py"}


def test_removal_takes_the_listed_files_and_their_bytecode_and_nothing_else(site: Path) -> None:
    (compiled := site / "onnxruntime/tools/__pycache__").mkdir()
    (compiled / "mine.cpython-313.pyc").write_text("")
    slim.remove(site, slim.find(site))
    assert _left(site) == {
        "onnxruntime/__init__.py",
        "onnxruntime/capi/onnxruntime_pybind11_state.so",
        "onnxruntime/tools/mine.py",
        "onnxruntime/tools/__pycache__/mine.cpython-313.pyc",
        "other/tests/test_it.py",
    }
    assert not (site / "onnxruntime/tools/symbolic").exists()
    assert slim.find(site) == []


def test_bytecode_that_python_wrote_later_goes_too(site: Path) -> None:
    compiled = site / "onnxruntime/tools/symbolic/__pycache__/shape.cpython-313.pyc"
    compiled.write_text("")
    slim.remove(site, slim.find(site))
    assert not compiled.exists()


def test_libraries_of_the_system_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    with pytest.raises(slim.SlimError, match="no virtual environment"):
        slim.own_site()


def test_environment_is_where_its_libraries_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "prefix", "/home/pi/edgesmith")
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert slim.own_site() == Path(f"/home/pi/edgesmith/lib/{name}/site-packages")
