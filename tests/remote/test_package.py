import io
import subprocess
import sys
import zipfile
from pathlib import Path

from edgesmith.remote import package


def test_same_sources_give_the_same_bytes() -> None:
    assert package.archive() == package.archive()


def test_package_alone_has_the_command_line_and_nothing_of_the_build_side(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(package.archive())) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
    assert not [name for name in names if name.startswith(("edgesmith/tasks", "edgesmith/data"))]
    assert not [name for name in names if name.endswith(".pyc")]
    code = "import edgesmith.remote.job, edgesmith.__main__, sys; print(edgesmith.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)
