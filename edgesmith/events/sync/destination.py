"""Where batches go: an HTTP receiver, or S3-compatible storage."""

from __future__ import annotations

import email.utils
import logging
import os
import time
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError

from edgesmith.events.errors import RefusedError, SyncError, UnreachableError

_LOG = logging.getLogger(__name__)
# The bearer token; a file is for services. Arguments are for everyone to see in /proc.
TOKEN = "EDGESMITH_SYNC_TOKEN"  # noqa: S105 (the variable's name)
_TIMEOUT = urllib3.Timeout(connect=10, read=30)
# This very content, and no other, is what the receiver will not have.
_POISON = frozenset({400, 406, 409, 411, 413, 415, 422})
# Come back later; everything from 500 on is that as well.
_LATER = frozenset({408, 421, 423, 425, 429})
_LONGEST_WAIT_S = 3600.0


class Destination(Protocol):
    """Takes batches. `name` is what the log remembers it by, without credentials."""

    name: str

    def send(self, key: str, content: bytes) -> None:
        """Return once the receiver has the batch.

        Raises RefusedError when it will never have it, UnreachableError when it may later, and
        SyncError when somebody has to change something first.
        """


class Http:
    """POSTs batches as JSON; the key is in `Idempotency-Key`, and in the body as `batch`."""

    def __init__(self, url: str, token: str | None) -> None:
        """A receiver at an http(s) address, and its bearer token where it wants one."""
        self.name = url
        self._token = token
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)
        if token and url.startswith("http:") and urlsplit(url).hostname not in _HERE:
            _LOG.warning("%s: the token goes over the network as it is; use https", url)

    def send(self, key: str, content: bytes) -> None:
        """As `Destination.send` says."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        transfer(self._pool, "POST", self.name, self.name, headers, content)


_HERE = frozenset({"127.0.0.1", "::1", "localhost"})


def open_destination(address: str, token_file: Path | None) -> Destination:
    """The receiver of `https://…`, `http://…` or `s3://bucket/prefix`; SyncError for others."""
    parts = urlsplit(address)
    if parts.username or parts.password:
        raise SyncError(
            f"the address of {parts.hostname} holds a password, which everyone on this machine can "
            f"see; put a bearer token into a file (--token-file) or into {TOKEN}"
        )
    if parts.scheme in ("http", "https") and parts.hostname:
        return Http(address, _token(token_file))
    if parts.scheme == "s3" and parts.netloc:
        try:
            from edgesmith.events.sync.s3 import S3  # noqa: PLC0415 (an extra of its own)
        except ModuleNotFoundError as error:
            raise SyncError(
                f"{address}: needs the Python package {error.name!r}; pip install "
                "'edgesmith[serve-s3]'"
            ) from error
        return S3(parts.netloc, parts.path.strip("/"))
    raise SyncError(f"{address}: write https://host/path or s3://bucket/prefix")


def transfer(
    pool: urllib3.PoolManager,
    method: str,
    url: str,
    name: str,
    headers: dict[str, str],
    content: bytes,
) -> None:
    """One request, and what its answer means for the batch; as `Destination.send` says."""
    try:
        answer = pool.request(method, url, body=content, headers=headers, redirect=False)
    except LocationParseError as error:
        raise SyncError(f"{name}: not an address ({error})") from error
    except HTTPError as error:
        raise UnreachableError(f"{name}: {_brief(error)}") from error
    status = answer.status
    # A few words of the receiver's, in one line, for whoever has to mend it.
    said = " ".join(answer.data[:300].decode(errors="replace").split())
    told = f"{name}: {status} {answer.reason or ''}".rstrip() + (f" ({said})" if said else "")
    if 200 <= status < 300:
        return
    if status in _POISON:
        raise RefusedError(told)
    if status >= 500 or status in _LATER:
        raise UnreachableError(told, _asked_to_wait(answer.headers.get("Retry-After")))
    if 300 <= status < 400:
        raise SyncError(f"{told}; it moved to {answer.headers.get('Location')}: give that address")
    raise SyncError(f"{told}; nothing is lost: check the address, and the token or credentials")


def _brief(error: Exception) -> str:
    """The innermost reason without the names of urllib3's objects."""
    reason = str(getattr(error, "reason", None) or error)
    return reason.rpartition(">: ")[2] or type(error).__name__


def _asked_to_wait(value: str | None) -> float:
    """Seconds of a `Retry-After`, which holds seconds or a date; 0 of none or nonsense."""
    if value is None:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(0.0, seconds), _LONGEST_WAIT_S)


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN) or None
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SyncError(f"{file}: the token cannot be read ({error})") from error
    if not token or not token.isascii() or len(token.split()) != 1:
        raise SyncError(f"{file}: must hold a bearer token on one line, and nothing else")
    if file.stat().st_mode & 0o077:
        _LOG.warning("%s: others can read this token; chmod 600", file)
    return token
