"""What machine this is and which tools it has: -> devices/host/{device,tools}.json."""

from pathlib import Path

from edgesmith import tools
from edgesmith.device import fingerprint
from stages._run import main


def run() -> None:
    fingerprint.write(fingerprint.probe("host"), Path("devices/host/device.json"))
    tools.write()


if __name__ == "__main__":
    main(run)
