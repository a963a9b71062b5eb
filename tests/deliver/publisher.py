"""A DVC remote with a signed manifest, laid out as DVC and `edgesmith publish` do, without DVC."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from edgesmith import contract as contracts
from edgesmith.deliver import envelope, golden, keys, manifest
from edgesmith.deliver.manifest import Artifact, File, Golden, Manifest, Object
from edgesmith.runtimes import session as runtimes
from tests.artifacts import make_artifact

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)


class Publisher:
    """Whoever holds the key, and the folder that devices see."""

    def __init__(self, folder: Path, name: str = "publisher") -> None:
        self.remote = folder / "remote"
        self.key_file = folder / f"{name}.key"
        self.public = keys.make(self.key_file)
        self.serial = 0

    def artifact(self, folder: Path, **changes: object) -> Artifact:
        """An artifact whose files lie in the remote, and what it says of the golden image."""
        contract = contracts.read(folder)
        session = runtimes.load(folder)
        image = golden.image_of(PIXELS, session)
        output = golden.encode(golden.run(session, image, "golden"))
        made = Artifact(
            variant=contract.variant,
            format=contract.format,
            task=contract.task,
            model=contract.model,
            precision=contract.precision,
            target=contract.target,
            files=tuple(self._file(path) for path in sorted(folder.iterdir())),
            golden=Golden(
                image=self.put_object(image),
                output=self.put_object(output),
                min_sqnr_db=40,
                engine=session.engine,
            ),
        )
        return made.model_copy(update=changes)

    def publish(self, *artifacts: Artifact, **changes: object) -> Manifest:
        """Write the manifest; every call is newer than the last."""
        self.serial += 1
        made = Manifest(
            serial=self.serial,
            created=datetime.now(UTC),
            default=artifacts[0].variant,
            artifacts=artifacts,
        ).model_copy(update=changes)
        self.write(manifest.canonical(made))
        return made

    def last(self) -> Artifact:
        """The first artifact of what was published last."""
        sealed = json.loads((self.remote / manifest.PATH).read_bytes())
        return manifest.parse(base64.b64decode(sealed["payload"]), "test").artifacts[0]

    def write(self, payload: bytes) -> None:
        """Sign a payload, whatever it is."""
        path = self.remote / manifest.PATH
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(envelope.seal(payload, [keys.load(self.key_file)]))

    def _file(self, path: Path) -> File:
        content = path.read_bytes()
        md5 = hashlib.md5(content).hexdigest()
        place = f"files/md5/{md5[:2]}/{md5[2:]}"
        return File(name=path.name, **self._put(content, place))

    def put_object(self, content: bytes) -> Object:
        place = f"{manifest.OBJECTS}/{hashlib.sha256(content).hexdigest()}"
        return Object(**self._put(content, place))

    def _put(self, content: bytes, place: str) -> dict[str, object]:
        path = self.remote / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return {
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_bytes": len(content),
            "place": place,
        }


def make(folder: Path, *, variant: str = "tiny", weight: int = 0, seed: int = 0) -> Path:
    """An artifact folder; `weight` bytes of noise beside the network make it slow to fetch."""
    made = make_artifact(folder / variant / "onnx", variant=variant)
    (made / "notes.bin").write_bytes(np.random.default_rng(seed).bytes(weight or 100))
    contract = contracts.read(made)
    contracts.write(contract.model_copy(update={"files": contracts.describe_files(made)}), made)
    return made


def big(artifact: Artifact) -> File:
    """The file of noise."""
    return next(file for file in artifact.files if file.name == "notes.bin")
