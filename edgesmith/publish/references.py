"""Golden images: what each artifact says here of one image, for devices to say the same of it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

from edgesmith.deliver.errors import PublishError
from edgesmith.deliver.manifest import OBJECTS, Golden, Object
from edgesmith.deliver.selftest import environment
from edgesmith.errors import EdgesmithError, RuntimeUnavailableError
from edgesmith.publish.describe import Described

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
# A device rounds in its own order: what the gate at export allowed an artifact to differ from its
# parent is allowed here too, and more than 40 dB is never asked. A network with one wrong layer is
# below 10 dB.
_MOST_DB, _LEAST_DB = 40.0, 12.0
_PATIENCE_SECONDS = 600
_UNAVAILABLE = 3


def image_of(described: Described, given: Path | None, dataset: Path | None) -> bytes:
    """The encoded image that an artifact is tested on: the one given, else its first test image."""
    if given is not None:
        try:
            return given.read_bytes()
        except OSError as fault:
            raise PublishError(f"--golden {given}: cannot be read ({fault.strerror})") from fault
    if dataset is not None and (tar := dataset / "test.tar").is_file():
        with tarfile.open(tar) as archive:
            for member in archive:
                if PurePosixPath(member.name).suffix.lower() in _SUFFIXES:
                    stream = archive.extractfile(member)
                    if stream is not None:
                        return stream.read()
    raise PublishError(
        f"{described.name}: no image for its self-test ({dataset or 'its dataset'} is not in the "
        f"checkout); dvc pull {dataset or 'data'}, or name an image with --golden"
    )


class References:
    """Runs artifacts on their golden images; what they take and give is written below `root`."""

    def __init__(self, root: Path, scratch: Path) -> None:
        """`root` is where the manifest goes; `scratch` a temporary folder."""
        self._root, self._scratch = root, scratch
        self._known: dict[str, Golden] = {}

    def of(self, described: Described, image: bytes) -> Golden:
        """The artifact's own output, by the runtime of this machine.

        Where this machine cannot run the format (a Hailo chip, a Jetson's engine), the output of
        the same variant in ONNX, if that came before. RuntimeUnavailableError if neither runs.
        """
        variant, tolerance = described.tracked.variant, described.contract.parity.tolerance
        least = min(_MOST_DB, tolerance.get("min_sqnr_db", _LEAST_DB))
        try:
            golden = self._run(described, image, least)
        except RuntimeUnavailableError:
            if variant not in self._known:
                raise
            return self._known[variant].model_copy(
                update={"min_sqnr_db": least, "engine": f"{self._known[variant].engine} (ONNX)"}
            )
        if described.tracked.format == "onnx":
            self._known[variant] = golden
        return golden

    def _run(self, described: Described, image: bytes, least_db: float) -> Golden:
        given, fitted, output = (self._scratch / name for name in ("given", "image", "output"))
        given.write_bytes(image)
        command = [sys.executable, "-m", "edgesmith.publish.references"]
        # Of its own: runtimes do not go well together, and one that crashes is one message.
        done = subprocess.run(
            [*command, described.folder, given, fitted, output],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
            env=environment(),
        )
        if done.returncode == _UNAVAILABLE:
            raise RuntimeUnavailableError(json.loads(done.stdout)["error"])
        if done.returncode != 0:
            last = (done.stdout.strip() or done.stderr.strip() or "no message").splitlines()[-1]
            raise PublishError(f"{described.name}: does not run on its golden image: {last}")
        return Golden(
            image=self._store(fitted.read_bytes()),
            output=self._store(output.read_bytes()),
            min_sqnr_db=least_db,
            engine=json.loads(done.stdout)["engine"],
        )

    def _store(self, content: bytes) -> Object:
        from edgesmith import files  # noqa: PLC0415 (the child needs no more than its runtime)

        sha256 = hashlib.sha256(content).hexdigest()
        place = f"{OBJECTS}/{sha256}"
        files.write_bytes(self._root / place, content)
        return Object(sha256=sha256, size_bytes=len(content), place=place)


def _main(folder: Path, given: Path, fitted: Path, output: Path) -> int:
    from edgesmith.deliver import golden  # noqa: PLC0415
    from edgesmith.preprocess import read_image  # noqa: PLC0415
    from edgesmith.runtimes import session as runtimes  # noqa: PLC0415

    try:
        session = runtimes.load(folder)
        image = golden.image_of(read_image(given), session)
        result = golden.run(session, image, str(given))
    except RuntimeUnavailableError as fault:
        print(json.dumps({"error": str(fault)}))
        return _UNAVAILABLE
    except EdgesmithError as fault:
        print(fault)
        return 1
    fitted.write_bytes(image)
    output.write_bytes(golden.encode(result))
    print(json.dumps({"engine": session.engine}))
    return 0


if __name__ == "__main__":
    sys.exit(_main(*map(Path, sys.argv[1:])))
