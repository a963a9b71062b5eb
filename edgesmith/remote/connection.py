"""Commands on a device through the system's OpenSSH client.

Keys, agents, jump hosts and known hosts are thus the user's own. EDGESMITH_SSH_CONFIG names a
configuration file to use in place of ~/.ssh/config.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from edgesmith.remote import trouble
from edgesmith.remote.errors import ConnectionLostError, RemoteError
from edgesmith.remote.target import Target

CONFIG = "EDGESMITH_SSH_CONFIG"

# A silent connection is given up after three unanswered questions.
_OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "LogLevel": "ERROR",
    # Whatever the user's configuration asks for in interactive sessions.
    "RequestTTY": "no",
    "RemoteCommand": "none",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
}
# The shared connection ends by itself so long after a host that was killed.
_PERSIST_SECONDS = 60
# Path of a Unix socket: 108 bytes, and ssh adds 17 while it makes one.
_SOCKET_PATH = 104 - 17
_PIECE = 1 << 16
_LOST = 255


class Done(NamedTuple):
    """A command that ran."""

    status: int
    output: str
    messages: str


class Connection:
    """One shared connection to a target; a context manager.

    It is made with the first command, and again with the first one after it broke.
    """

    def __init__(self, target: Target) -> None:
        """Nothing is connected yet; RemoteError where there is no SSH client."""
        program = shutil.which("ssh")
        if program is None:
            raise RemoteError("no ssh on this machine; apt-get install openssh-client")
        self.target = target
        self._folder = _socket_folder()
        options = dict(_OPTIONS)
        if self._folder is not None:
            options |= {
                "ControlMaster": "auto",
                "ControlPath": str(self._folder / "s"),
                "ControlPersist": str(_PERSIST_SECONDS),
            }
        else:
            options |= {"ControlMaster": "no", "ControlPath": "none"}
        config = os.environ.get(CONFIG)
        self._ssh = [
            *(program, "-T"),
            *(("-F", config) if config else ()),
            *(word for key, value in options.items() for word in ("-o", f"{key}={value}")),
            *(("-p", str(target.port)) if target.port else ()),
        ]

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def drop(self) -> None:
        """End the shared connection; the next command makes a new one."""
        if self._folder is not None and self._folder.joinpath("s").exists():
            with contextlib.suppress(subprocess.TimeoutExpired):  # it then ends by itself
                subprocess.run(
                    [*self._ssh, "-O", "exit", "--", self.target.login],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=10,
                    check=False,
                )

    def run(self, words: list[str], content: bytes = b"", *, timeout_s: float = 60.0) -> Done:
        """Run a command on the device with `content` as its standard input.

        Raises ConnectionLostError when it cannot be known whether it ended, RemoteError when the
        device refuses this host or is not the one that was known.
        """
        with tempfile.TemporaryFile() as stream:
            stream.write(content)
            stream.seek(0)
            process = self._start(words, stream.fileno())
            try:
                output, messages = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired as fault:
                self.drop()
                raise ConnectionLostError(
                    f"{self.target}: no answer in {timeout_s:.0f} s"
                ) from fault
            finally:
                _end(process)
        return self._done(process.returncode, output, messages)

    def put(self, words: list[str], file: Path, offset: int, sent: Callable[[int], None]) -> Done:
        """Run a command with the bytes of `file` from `offset` on as its standard input.

        `sent` is called with the number of bytes of each piece that went to the SSH client.
        """
        with file.open("rb") as stream:
            stream.seek(offset)
            process = self._start(words, subprocess.PIPE)
            try:
                if process.stdin is None:
                    raise RuntimeError("the SSH client has no pipe")
                with contextlib.suppress(BrokenPipeError):  # its status says why
                    while piece := stream.read(_PIECE):
                        process.stdin.write(piece)
                        process.stdin.flush()
                        sent(len(piece))
                output, messages = process.communicate()
            finally:
                _end(process)
        return self._done(process.returncode, output, messages)

    def _start(self, words: list[str], stdin: int) -> subprocess.Popen[bytes]:
        command = " ".join(_quoted(word) for word in words)
        return subprocess.Popen(
            [*self._ssh, "--", self.target.login, command],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C is for this process, which then cleans up over the same connection.
            start_new_session=True,
        )

    def _done(self, status: int, output: bytes, messages: bytes) -> Done:
        text = messages.decode(errors="replace").strip()
        if status == _LOST:
            raise trouble.of_client(self.target, text)
        return Done(status, output.decode(errors="replace"), text)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    process.wait()


def _quoted(word: str) -> str:
    """One word for any shell of the device; `~/` at its beginning is the home folder there."""
    if word.startswith("~/"):
        return f'"$HOME"/{shlex.quote(word[2:])}'
    return shlex.quote(word)


def _socket_folder() -> Path | None:
    """A private folder with a short path for the connection's socket, or None: no sharing then."""
    for place in (os.environ.get("XDG_RUNTIME_DIR"), "/tmp", tempfile.gettempdir()):  # noqa: S108
        if place and len(place) < _SOCKET_PATH - len("/edgesmith-12345678/s"):
            try:
                return Path(tempfile.mkdtemp(prefix="edgesmith-", dir=place))
            except OSError:
                continue
    return None
