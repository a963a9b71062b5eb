"""A device that is this machine: a real sshd on a loopback port, and an account of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.ssh.device import Pythons, make_pythons
from edgesmith.remote.target import Target

_SSHD = "/usr/sbin/sshd"
_START_SECONDS = 10.0


class Loopback(NamedTuple):
    """A running device. `config` is for EDGESMITH_SSH_CONFIG; it knows the host's key."""

    folder: Path
    home: Path
    account: str
    port: int
    config: Path
    pythons: Pythons
    server: int

    @property
    def target(self) -> Target:
        """The device, with the interpreter that has all libraries."""
        return Target("127.0.0.1", self.account, self.port, str(self.pythons.whole))

    def write_config(self, name: str, known_hosts: str, port: int | None = None) -> Path:
        """Another client configuration, with other known hosts, or through another port."""
        hosts = self.folder / f"{name}.known_hosts"
        hosts.write_text(known_hosts)
        path = self.folder / name
        path.write_text(
            "Host *\n"
            f"  IdentityFile {self.folder}/key\n"
            "  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {hosts}\n"
            "  GlobalKnownHostsFile /dev/null\n"
            f"  HostKeyAlias device\n" + (f"  Port {port}\n" if port else "")
        )
        return path

    def host_key(self, name: str = "host") -> str:
        """A line of known_hosts with one of the keys in the folder."""
        kind, key = (self.folder / f"{name}.pub").read_text().split()[:2]
        return f"device {kind} {key}\n"

    def sessions(self) -> list[psutil.Process]:
        """The server's processes of open connections."""
        return [
            child
            for child in psutil.Process(self.server).children(recursive=True)
            if child.name() == "sshd"
        ]

    def drop_connections(self) -> int:
        """Kill the processes that serve connections, as a crash or a lost network would."""
        killed = 0
        for process in self.sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
                killed += 1
        return killed

    def processes(self) -> list[psutil.Process]:
        """What runs under the device's account, apart from sshd."""
        found = psutil.process_iter(["username", "name", "status"])
        return [
            process
            for process in found
            if process.info["username"] == self.account
            and process.info["name"] != "sshd"
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]


def why_not() -> str:
    """What is missing to start a device here, or nothing."""
    if os.geteuid() != 0:
        return "an account for the device can be made by root alone"
    for program, package in ((_SSHD, "openssh-server"), ("ssh", "openssh-client")):
        if shutil.which(program) is None:
            return f"no {program}; apt-get install {package}"
    if shutil.which("useradd") is None:
        return "no useradd; apt-get install passwd"
    return ""


@contextmanager
def loopback() -> Iterator[Loopback]:
    """A device for as long as the block lasts; account, server and files are gone afterwards."""
    account = f"edgesmith-{secrets.token_hex(4)}"
    folder = Path(tempfile.mkdtemp(prefix="edgesmith-ssh-", dir="/tmp"))
    folder.chmod(0o755)
    home = folder / "home of the device"  # paths with spaces have to work
    server: subprocess.Popen[bytes] | None = None
    try:
        _run("useradd", "--create-home", "--home-dir", str(home), "--shell", "/bin/sh",
             "--password", "*", account)  # fmt: skip
        for name in ("host", "other", "key"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
        port = _free_port()
        server = _serve(folder, account, port)
        device = Loopback(
            folder, home, account, port, folder / "config", make_pythons(folder), server.pid
        )
        device.write_config("config", device.host_key())
        yield device
    finally:
        if server is not None:
            for process in psutil.Process(server.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            server.kill()
            server.wait()
        for process in psutil.process_iter(["username"]):
            if process.info["username"] == account:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        subprocess.run(["userdel", "--force", account], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _serve(folder: Path, account: str, port: int) -> subprocess.Popen[bytes]:
    Path("/run/sshd").mkdir(exist_ok=True)  # without it, sshd does not start
    shutil.copy(folder / "key.pub", folder / "authorized_keys")
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",  # the folder is below /tmp
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "UseDNS": "no",
        "AllowUsers": account,
        "Subsystem": "sftp internal-sftp",
    }
    config = folder / "sshd_config"
    config.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    log = folder / "sshd.log"
    server = subprocess.Popen([_SSHD, "-D", "-f", str(config), "-E", str(log)])
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return server
        if server.poll() is not None:
            break
        time.sleep(0.02)
    server.kill()
    server.wait()
    raise RuntimeError(f"sshd did not start: {log.read_text() if log.exists() else ''}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]}: {done.stderr.strip()}")
