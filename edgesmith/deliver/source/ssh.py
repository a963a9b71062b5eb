"""A folder on a host with SSH, through the system's `sftp`: keys, known hosts are the user's own.

No shell is needed there; an account that may do SFTP alone is enough.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from edgesmith.deliver.errors import MissingError, SourceError, TransferError
from edgesmith.deliver.source.source import Moved, too_long
from edgesmith.errors import EdgesmithError
from edgesmith.remote import target as targets
from edgesmith.remote import trouble
from edgesmith.remote.connection import CONFIG
from edgesmith.remote.errors import ConnectionLostError

_OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "LogLevel": "ERROR",
}
_LOOK_SECONDS = 0.05
# Without a single new byte; sftp gives up a silent server after 15 s by itself.
_STUCK_SECONDS = 60.0


class Ssh:
    """Copies files of one folder of a host."""

    def __init__(self, target: targets.Target, root: str) -> None:
        """SourceError where there is no SFTP client."""
        program = shutil.which("sftp")
        if program is None:
            raise SourceError("no sftp on this machine; apt-get install openssh-client")
        self._target, self._root = target, root
        config = os.environ.get(CONFIG)
        self._command = [
            *(program, "-b", "-"),
            *(("-F", config) if config else ()),
            *(word for key, value in _OPTIONS.items() for word in ("-o", f"{key}={value}")),
            *(("-P", str(target.port)) if target.port else ()),
            "--",
            target.login,
        ]

    def __str__(self) -> str:
        return f"{self._target}{self._root}"

    def fetch(self, place: str, part: Path, limit_bytes: int, moved: Moved) -> None:
        """As `Source.fetch` says."""
        path = f"{self._root.rstrip('/')}/{place}"
        # `reget` wants something to go on with, and refuses what is as long as the original.
        have = part.stat().st_size if part.exists() else 0
        words = f"{'reget' if have else 'get'} {_quoted(path)} {_quoted(str(part))}\n"
        process = self._start(limit_bytes)
        if process.stdin is None or process.stderr is None:
            raise RuntimeError("sftp has no pipes")
        with process.stdin, process.stderr:
            try:
                with contextlib.suppress(BrokenPipeError):  # its messages say why
                    process.stdin.write(words.encode())
                    process.stdin.close()
                self._watch(process, place, part, have, moved)
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
            text = process.stderr.read(1 << 16).decode(errors="replace").strip()
        self._judge(process.returncode, text, place, part, limit_bytes)

    def _start(self, limit_bytes: int) -> subprocess.Popen[bytes]:
        def no_longer() -> None:  # the kernel's own ceiling, whatever the server sends
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=no_longer,  # noqa: PLW1509 (no thread runs here)
            start_new_session=True,
        )

    def _watch(
        self, process: subprocess.Popen[bytes], place: str, part: Path, have: int, moved: Moved
    ) -> None:
        changed = time.monotonic()
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)
            size = part.stat().st_size if part.exists() else 0
            if size != have:
                have, changed = size, time.monotonic()
                moved(size)
            elif time.monotonic() - changed > _STUCK_SECONDS:
                raise TransferError(f"{self}/{place}: no byte in {_STUCK_SECONDS:.0f} s")

    def _judge(self, status: int, text: str, place: str, part: Path, limit_bytes: int) -> None:
        if status == 0:
            return
        full = part.exists() and part.stat().st_size >= limit_bytes
        if "destination file bigger or same size" in text or "same size" in text:
            return
        if full and ("File too large" in text or status < 0):
            raise too_long(str(self), place, limit_bytes)
        if re.search(r"not found|No such file", text):
            raise MissingError(f"{self}/{place}: not there")
        if "Permission denied" in text and self._root in text:
            raise SourceError(f"{self}/{place}: {_last(text)}; chmod +r there")
        if "No space left" in text:
            raise OSError(28, "No space left on device", str(part))
        found: EdgesmithError = trouble.of_client(self._target, text)
        if isinstance(found, ConnectionLostError):
            raise TransferError(str(found)) from None
        raise SourceError(str(found)) from None

    def close(self) -> None:
        """Nothing is held: each transfer is a connection of its own."""


def open_source(address: str) -> Ssh:
    """The source of ssh://user@host:port/path; `/~/path` is below the home folder there."""
    parts = urlsplit(address)
    path = unquote(parts.path).rstrip("/")
    if not path:
        raise SourceError(f"{address}: names no folder; write ssh://user@host/path/of/the/remote")
    if re.search(r"[\x00-\x1f\x7f]", path) or parts.query or parts.fragment:
        raise SourceError(f"{address}: not a path; write ssh://user@host/path/of/the/remote")
    target = targets.parse(urlunsplit(("ssh", parts.netloc, "", "", "")))
    return Ssh(target, path.removeprefix("/~/") if path.startswith("/~/") else path)


def _quoted(word: str) -> str:
    """A word of sftp's batch language; inside quotes it takes `*`, `?` and `[` as they are."""
    return '"' + re.sub(r'([\\"])', r"\\\1", word) + '"'


def _last(text: str) -> str:
    lines = text.splitlines()
    return lines[-1].strip() if lines else "no reason given"
