"""A systemd unit for the loop (systemd.service(5), systemd.exec(5))."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# The loop replaces a hung part within seconds by itself; systemd is for a loop that hangs as a
# whole. It waits for longer than a replaced part may take to load its network.
WATCHDOG_MARGIN_SECONDS = 30
_START_SECONDS = 300.0

# What a service of the system is denied; a user's own manager cannot do most of it. ProtectClock is
# not among it: it implies DeviceAllow=, and then no camera can be opened.
_SANDBOX = (
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "RestrictNamespaces=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
    "CapabilityBoundingSet=",
)


class Service(NamedTuple):
    """What the unit is about; `user` None for a unit of the user's own manager.

    `start_s` is what a part may take to start.
    """

    name: str
    command: Sequence[str]
    folder: Path
    writable: Sequence[Path]
    user: str | None
    start_s: float


def text(service: Service) -> str:
    """The unit file."""
    lines = [
        "# Written by `edgesmith install-service`; write it again rather than edit it.",
        "[Unit]",
        f"Description=edgesmith serve ({service.name})",
        "After=network-online.target",
        "Wants=network-online.target",
        "# A camera that is away for a night is no reason to stop trying.",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        "ExecStart=" + " ".join(quote(part) for part in service.command),
        f"WorkingDirectory={_escape(str(service.folder))}",
        *([f"User={service.user}", *_groups()] if service.user is not None else []),
        "Environment=PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=PASSIVE",
        "# A frame finished, or a lost source was looked for, within this.",
        f"WatchdogSec={service.start_s + WATCHDOG_MARGIN_SECONDS:g}",
        "WatchdogSignal=SIGKILL",
        f"TimeoutStartSec={max(_START_SECONDS, 2 * service.start_s):g}",
        "Restart=on-failure",
        "RestartSec=5",
        "# The loop ends its parts in order; what is left after that is killed.",
        "KillMode=mixed",
        "TimeoutStopSec=15",
        "# A part that runs out of memory is replaced by the loop.",
        "OOMPolicy=continue",
        "MemoryMax=75%",
        "TasksMax=256",
        "NoNewPrivileges=yes",
        "LockPersonality=yes",
        "RestrictSUIDSGID=yes",
        *(_SANDBOX if service.user is not None else []),
        *(
            [f"ReadWritePaths={' '.join(quote(str(path)) for path in service.writable)}"]
            if service.user is not None and service.writable
            else []
        ),
        "",
        "[Install]",
        "WantedBy=" + ("default.target" if service.user is None else "multi-user.target"),
    ]
    return "\n".join(lines) + "\n"


def quote(word: str) -> str:
    """One word of a command line as systemd reads it."""
    escaped = _escape(word).replace("$", "$$")
    plain = bool(word) and not any(letter in " \t\n\"'\\;" for letter in word)
    if plain:
        return escaped
    inner = escaped.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inner}"'


def _escape(word: str) -> str:
    return word.replace("%", "%%")


def _groups() -> list[str]:
    """Groups that own cameras and graphics; those that the system has."""
    import grp  # noqa: PLC0415 (not on every system that can read this module)

    known = {group.gr_name for group in grp.getgrall()}
    found = [name for name in ("video", "render", "plugdev") if name in known]
    return [f"SupplementaryGroups={' '.join(found)}"] if found else []
