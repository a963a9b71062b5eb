"""Which Hailo compiler this host has: -> toolchains/hailo/tool.json; fails where it has none."""

from pathlib import Path

from edgesmith import files
from edgesmith.formats.hailo import compiler, settings
from stages._run import main


def run() -> None:
    files.write_json(Path("toolchains/hailo/tool.json"), compiler.probe(settings.load().compile))


if __name__ == "__main__":
    main(run)
