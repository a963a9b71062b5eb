"""What an SSH client's last words mean and what to do about it."""

from __future__ import annotations

from edgesmith.remote.errors import ConnectionLostError, RemoteError
from edgesmith.remote.target import Target


def of_client(target: Target, messages: str) -> RemoteError:
    """The error for a client that ended with status 255; ConnectionLostError where it may pass."""
    host = f"[{target.host}]:{target.port}" if target.port else target.host
    if "IDENTIFICATION HAS CHANGED" in messages:
        return RemoteError(
            f"{target}: its host key has CHANGED: another machine answers there, or the device was "
            f"installed anew. If you know that it was: ssh-keygen -R '{host}', then "
            f"{target.command('ssh')} and compare the new key's fingerprint"
        )
    if "host key is known" in messages or "Host key verification failed" in messages:
        return RemoteError(
            f"{target}: its host key is unknown here; connect once by hand and compare the "
            f"fingerprint: {target.command('ssh')} (or, on a network that you trust: "
            f"{target.command('ssh-keyscan')} >> ~/.ssh/known_hosts)"
        )
    if "Permission denied" in messages or "Too many authentication" in messages:
        return RemoteError(
            f"{target}: it does not accept a key of yours, and passwords are not asked for; "
            f"{target.command('ssh-copy-id')} ({_last(messages)})"
        )
    if "Bad configuration option" in messages or "Can't open user config" in messages:
        return RemoteError(f"{target}: the SSH configuration: {_last(messages)}")
    return ConnectionLostError(
        f"{target}: no connection ({_last(messages) or 'the client gave no reason'}); is it on, "
        f"and does `{target.command('ssh')}` work?"
    )


def _last(messages: str) -> str:
    lines = messages.splitlines()
    return lines[-1].strip() if lines else ""
