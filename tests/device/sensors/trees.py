"""A machine's file system as far as sensors read it, laid under a folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgesmith.device.sensors.source import SensorError

CPU = "sys/devices/system/cpu"


def lay(root: Path, content: Mapping[str, object], under: str = "") -> Path:
    """Write each file below `root/under`, as the kernel gives it: with an end of line."""
    for name, text in content.items():
        path = root / under / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def cpufreq(
    root: Path,
    *,
    current: int = 2400000,
    allowed: int = 2400000,
    highest: int = 2400000,
    governor: str = "performance",
    cores: int = 2,
) -> Path:
    """Frequencies in kHz of a board that steers its clock by cpufreq, such as a Raspberry Pi 5."""
    for core in range(cores):
        lay(
            root,
            {
                "scaling_cur_freq": current,
                "scaling_max_freq": allowed,
                "cpuinfo_max_freq": highest,
                "scaling_governor": governor,
            },
            f"{CPU}/cpu{core}/cpufreq",
        )
    return root


def tools(outputs: Mapping[str, str]) -> Callable[[Sequence[str]], str]:
    """A machine whose tools said this, by command line; it has no others."""

    def run(command: Sequence[str]) -> str:
        try:
            return outputs[" ".join(command)]
        except KeyError:
            raise SensorError(f"no {command[0]} here") from None

    return run


no_tools = tools({})
