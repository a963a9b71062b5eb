"""What machine this is: -> devices/host/device.json, whose fingerprint benchmarks depend on."""

from pathlib import Path

from edgesmith.device import fingerprint
from stages._run import main


def run() -> None:
    fingerprint.write(fingerprint.probe("host"), Path("devices/host/device.json"))


if __name__ == "__main__":
    main(run)
