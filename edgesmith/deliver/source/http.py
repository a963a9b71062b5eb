"""A web server that serves the remote's files: any static one will do, with or without ranges."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError

from edgesmith.deliver.errors import MissingError, SourceError, TransferError
from edgesmith.deliver.source.source import Moved, too_long

# Sent as it is, to the source's own host alone: "Bearer …" or "Basic …".
AUTHORIZATION = "EDGESMITH_AUTHORIZATION"

_PIECE = 1 << 16
_TIMEOUT = urllib3.Timeout(connect=10, read=30)
# A server that is busy says when to come back; a connection that breaks is `fetch`'s affair, which
# goes on from what has come.
_RETRY = urllib3.Retry(
    total=4,
    connect=0,
    read=0,
    redirect=3,
    other=0,
    status_forcelist=(429, 500, 502, 503, 504),
    backoff_factor=0.5,
    retry_after_max=30,
)


class Http:
    """Requests objects by `url(place)`, from what is there on (RFC 9110, section 14)."""

    def __init__(self, name: str, url: Callable[[str], str]) -> None:
        """A source called `name` in messages."""
        self._name = name
        self._url = url
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=_RETRY)

    def __str__(self) -> str:
        return self._name

    def fetch(self, place: str, part: Path, limit_bytes: int, moved: Moved) -> None:
        """As `Source.fetch` says."""
        have = part.stat().st_size if part.exists() else 0
        # Compressed on the way, sizes and ranges would be those of another representation.
        headers = {"Accept-Encoding": "identity"}
        if authorization := os.environ.get(AUTHORIZATION):
            headers["Authorization"] = authorization
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            response = self._pool.request(
                "GET", self._url(place), headers=headers, preload_content=False
            )
        except MaxRetryError as fault:
            raise self._of_reason(place, fault) from fault
        except (HTTPError, LocationParseError) as fault:
            raise TransferError(f"{self}/{place}: {fault}") from fault
        try:
            self._receive(response, place, part, have, limit_bytes, moved)
        except HTTPError as fault:
            raise TransferError(f"{self}/{place}: the transfer broke ({fault})") from fault
        finally:
            response.release_conn()
            response.close()

    def _receive(
        self,
        response: urllib3.BaseHTTPResponse,
        place: str,
        part: Path,
        have: int,
        limit_bytes: int,
        moved: Moved,
    ) -> None:
        status = response.status
        if status == 416:  # nothing follows what is there: as long already, or longer than it
            part.unlink() if not _ends_at(response, have) else None
            if not part.exists():
                raise TransferError(f"{self}/{place}: other bytes than those begun with")
            return
        if status == 206:
            start, whole = _range(response)
            if start != have or (whole is not None and whole > limit_bytes):
                part.unlink(missing_ok=True)
                raise TransferError(f"{self}/{place}: answered with another range than asked for")
        elif status == 200:
            part.unlink(missing_ok=True)  # a server without ranges sends all of it again
            have = 0
        else:
            raise self._of_status(place, status)
        if have + int(response.headers.get("Content-Length") or 0) > limit_bytes:
            raise too_long(str(self), place, limit_bytes)
        with part.open("ab") as target:
            for piece in response.stream(_PIECE, decode_content=False):
                if target.tell() + len(piece) > limit_bytes:
                    raise too_long(str(self), place, limit_bytes)
                target.write(piece)
                moved(target.tell())

    def _of_status(self, place: str, status: int) -> SourceError | TransferError:
        if status in {404, 410}:
            return MissingError(f"{self}/{place}: not there (HTTP {status})")
        if status in {401, 403}:
            return SourceError(f"{self}/{place}: refused (HTTP {status}); {self.remedy_of_refusal}")
        if status >= 500 or status in {408, 425, 429}:
            return TransferError(f"{self}/{place}: the server answers HTTP {status}")
        return SourceError(
            f"{self}/{place}: the server answers HTTP {status}; does the address lead to the "
            "folder that holds edgesmith/ and files/?"
        )

    remedy_of_refusal = f"the environment variable {AUTHORIZATION} is sent as Authorization"

    def _of_reason(self, place: str, fault: MaxRetryError) -> SourceError | TransferError:
        reason = str(fault.reason)
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            return SourceError(
                f"{self}: its certificate is not valid here ({reason}); set this device's clock, "
                "or name the authority's file in SSL_CERT_FILE"
            )
        if "too many" in reason:
            return TransferError(f"{self}/{place}: {reason}")
        return TransferError(f"{self}/{place}: no answer ({reason})")

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()


def open_source(address: str) -> Http:
    """The source of an http:// or https:// address."""
    parts = urlsplit(address)
    if not parts.hostname:
        raise SourceError(f"{address}: names no host; write https://host/path")
    if parts.username or parts.password:
        raise SourceError(
            f"{parts.scheme}://…@{parts.hostname}: a password in an address ends up in shell "
            f"histories and process lists and is refused; set {AUTHORIZATION}"
        )
    if parts.query or parts.fragment:
        raise SourceError(f"{address}: an address of a source has neither ? nor #; leave them out")
    root = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    return Http(root, lambda place: f"{root}/{quote(place)}")


def _range(response: urllib3.BaseHTTPResponse) -> tuple[int, int | None]:
    """First byte and whole length of a 206 answer; (-1, None) if it does not say."""
    found = re.fullmatch(
        r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("Content-Range", "")
    )
    if not found:
        return -1, None
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _ends_at(response: urllib3.BaseHTTPResponse, have: int) -> bool:
    """Whether a 416 answer says that the object ends where the part file does."""
    return response.headers.get("Content-Range", "") == f"bytes */{have}"
