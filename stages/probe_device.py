"""Which machine answers as a device: -> devices/<device>/device.json.

Where it is reached: devices/<device>/target, not in git (docs/ssh.md). What cannot be reached, or
is no such device (edgesmith/device/catalogue), or is another machine than before, fails and leaves
the record as it is.
"""

from pathlib import Path

from edgesmith.device import fingerprint, recognise
from edgesmith.remote.probe import probe, require_same_machine
from edgesmith.remote.target import of_device
from stages._run import main


def run(name: str) -> None:
    path = Path("devices") / name / "device.json"
    target = of_device(name)
    device = fingerprint.probe(name) if target is None else probe(target, name)
    recognise.require(name, device.fingerprint)
    require_same_machine(device, path)
    fingerprint.write(device, path)


if __name__ == "__main__":
    main(run)
