"""Where a device is reached: `ssh://user@host:port`, and from where that is known."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from edgesmith.remote.errors import RemoteError

LOCAL = "local"
_FORM = "ssh://user@host:port, such as ssh://pi@raspberrypi.local"


class Target(NamedTuple):
    """A login on a device. `port` is 0 and `user` empty where the SSH configuration decides.

    `python` is the interpreter to run there: a name, a path, or a path that begins with `~/`.
    """

    host: str
    user: str = ""
    port: int = 0
    python: str = "python3"

    @property
    def login(self) -> str:
        """`user@host` as people and `ssh` write it."""
        return f"{self.user}@{self.host}" if self.user else self.host

    def command(self, program: str) -> str:
        """The command line of an SSH program with this target, for a remedy in a message."""
        port = f" -p {self.port}" if self.port else ""
        return f"{program}{port} {self.host if program == 'ssh-keyscan' else self.login}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{quote(self.user)}@" if self.user else ""
        return f"ssh://{user}{host}" + (f":{self.port}" if self.port else "")


def parse(text: str) -> Target:
    """The target that `ssh://[user@]host[:port][?python=path]` names; IPv6 stands in brackets.

    Raises RemoteError for another scheme, a password, a path, or what `ssh` could take for an
    option.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        raise RemoteError(f"{_shown(text)}: {fault}; write {_FORM}") from fault
    if parts.password is not None:
        raise RemoteError(
            f"{_shown(text)}: a password in a target ends up in shell histories and process "
            "lists and is refused; use a key: ssh-copy-id"
        )
    if parts.scheme != "ssh" or not host:
        raise RemoteError(f"{_shown(text)}: not a target; write {_FORM}")
    if parts.path.strip("/") or parts.fragment:
        raise RemoteError(
            f"{_shown(text)}: a target holds no path; the folder on the device is --remote-folder"
        )
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    python = query.pop("python", "python3")
    if query or not python:
        raise RemoteError(f"{_shown(text)}: the one key that may follow ? is python=PATH")
    # urlsplit lowers the host, and an alias in ~/.ssh/config may have capitals.
    place = parts.netloc.rpartition("@")[2]
    host = re.sub(r":\d*$", "", place) if not place.startswith("[") else host
    user = unquote(parts.username or "")
    for word in (host, user, python):
        if word.startswith("-") or re.search(r"[\s\0]", word.replace(" ", "")):
            raise RemoteError(f"{_shown(text)}: {word!r} cannot be part of a target; write {_FORM}")
    if re.search(r"[^\w.:%-]", host) or re.search(r"[\s@:/'\"\\$`;&|<>()]", user):
        raise RemoteError(f"{_shown(text)}: not a name of a host or a user; write {_FORM}")
    return Target(host, user, port or 0, python)


def of_device(name: str, folder: Path = Path("devices")) -> Target | None:
    """Where the device of `devices/<name>` is reached by whoever asks; None is this machine.

    From the environment variable EDGESMITH_TARGET_<NAME>, else from the untracked file
    `devices/<name>/target`: an SSH target, or `local` on the device itself. RemoteError where
    there is neither.
    """
    variable = "EDGESMITH_TARGET_" + re.sub(r"\W", "_", name).upper()
    file = folder / name / "target"
    text = os.environ.get(variable, "").strip()
    if not text and file.is_file():
        text = file.read_text().strip()
    if not text:
        raise RemoteError(
            f"{file}: not there, and {variable} is not set: where {name!r} is reached is yours "
            f"alone and not in git; write {_FORM}, or `{LOCAL}` on the device itself, into it"
        )
    return None if text == LOCAL else parse(text)


def _shown(text: str) -> str:
    """The text without a password that it may hold."""
    return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:…@", text)
