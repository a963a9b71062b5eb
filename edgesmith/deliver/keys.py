"""Ed25519 keys: one file on the build host, one line of text that a device is given once."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edgesmith.deliver.errors import KeyFileError

# Of the public line.
PREFIX = "ed25519:"
_RAW_BYTES = 32
# Whoever reads the file can sign; only the owner may.
_MODE = 0o600
_OTHERS = 0o077


def make(path: Path) -> str:
    """Write a new private key to `path` and give its public text; never overwrites a file."""
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
    except FileExistsError as fault:
        raise KeyFileError(
            f"{path}: there already, and a key is never overwritten: devices that trust it would "
            "refuse everything published later; name another file with --key"
        ) from fault
    except OSError as fault:
        raise KeyFileError(f"{path}: cannot be written ({fault.strerror})") from fault
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return public_text(key.public_key())


def load(path: Path) -> Ed25519PrivateKey:
    """The private key in a file that only its owner can read; KeyFileError otherwise."""
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as fault:
        raise KeyFileError(
            f"{path}: cannot be read ({fault.strerror}); make a key once with "
            "`edgesmith publish --new-key`"
        ) from fault
    if mode & _OTHERS:
        raise KeyFileError(
            f"{path}: others can read it (mode {mode & 0o777:04o}); chmod 600 {path}, or make a "
            "new key if it may have been copied"
        )
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as fault:
        raise KeyFileError(f"{path}: not a private key without a password ({fault})") from fault
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: not an Ed25519 key; make one with --new-key")
    return key


def public_text(key: Ed25519PublicKey) -> str:
    """The line that a device is given: `ed25519:` and 44 characters."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return PREFIX + base64.b64encode(raw).decode()


def parse(text: str) -> Ed25519PublicKey:
    """The public key in a line of text; KeyFileError for anything else."""
    text = text.strip()
    try:
        raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise KeyFileError(f"{_shown(text)}: {_FORM}") from fault
    if not text.startswith(PREFIX) or len(raw) != _RAW_BYTES:
        raise KeyFileError(f"{_shown(text)}: {_FORM}")
    return Ed25519PublicKey.from_public_bytes(raw)


def identity(key: Ed25519PublicKey) -> str:
    """16 hexadecimal digits that name a key in messages, files and signatures."""
    return hashlib.sha256(public_text(key).encode()).hexdigest()[:16]


def is_signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    """Whether the owner of `key` signed exactly these bytes."""
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


_FORM = (
    "not a public key; it is one line, ed25519: and 44 characters, as `edgesmith publish` prints it"
)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")
