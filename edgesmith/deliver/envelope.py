"""Signed bytes in a JSON envelope: DSSE, as in-toto and Sigstore use it.

What is signed is the payload's bytes with their type and lengths (DSSE 1.0, "PAE"), so that nothing
has to be parsed, and no JSON brought into a canonical form, before the signature is known to be
right. More than one signature may stand there: that is how a key is exchanged for another.
https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgesmith.deliver import keys
from edgesmith.deliver.errors import ManifestError, SignatureError

TYPE = "application/vnd.edgesmith.manifest+json"


class _Signature(BaseModel):
    model_config = ConfigDict(frozen=True)

    keyid: str = Field(max_length=100)
    sig: str = Field(max_length=200)


class _Envelope(BaseModel):
    model_config = ConfigDict(frozen=True)

    payload_type: str = Field(alias="payloadType", max_length=200)
    payload: str
    signatures: tuple[_Signature, ...] = Field(max_length=16)


class Opened(NamedTuple):
    """A payload and the trusted key that signed it."""

    payload: bytes
    key_id: str


def seal(payload: bytes, signers: Sequence[Ed25519PrivateKey]) -> bytes:
    """The envelope of `payload`, signed by every key given."""
    message = _message(TYPE, payload)
    value = {
        "payloadType": TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {
                "keyid": keys.identity(key.public_key()),
                "sig": base64.b64encode(key.sign(message)).decode(),
            }
            for key in signers
        ],
    }
    return (json.dumps(value, indent=1) + "\n").encode()


def unseal(content: bytes, trusted: Mapping[str, Ed25519PublicKey], origin: str) -> Opened:
    """The payload, if one of the trusted keys (by identity) signed it.

    Raises ManifestError for what is no envelope, SignatureError for one that nobody trusted signed.
    """
    try:
        envelope = _Envelope.model_validate_json(content)
        payload = base64.b64decode(envelope.payload, validate=True)
        signatures = [
            (entry.keyid, base64.b64decode(entry.sig, validate=True))
            for entry in envelope.signatures
        ]
    except (ValidationError, binascii.Error, ValueError) as fault:
        raise ManifestError(
            f"{origin}: not a signed manifest, or damaged; publish it again"
        ) from fault
    if envelope.payload_type != TYPE:
        raise ManifestError(
            f"{origin}: holds {envelope.payload_type!r} and not {TYPE!r}; name a source that "
            "`edgesmith publish` wrote"
        )
    message = _message(envelope.payload_type, payload)
    for key_id, signature in signatures:
        if key_id in trusted and keys.is_signed(trusted[key_id], signature, message):
            return Opened(payload, key_id)
    raise SignatureError(_refusal(origin, [key_id for key_id, _ in signatures], trusted))


def _refusal(origin: str, claimed: list[str], trusted: Mapping[str, Ed25519PublicKey]) -> str:
    known = sorted(set(claimed) & set(trusted))
    if known:
        return (
            f"{origin}: its content does not match the signature of key {', '.join(known)}; it was "
            "changed after it was signed: publish it again, and find out who can write there"
        )
    says = ", ".join(claimed) or "nobody"
    if not trusted:
        return (
            f"{origin}: signed by {says}, and this device trusts no key yet; give it the line "
            "that `edgesmith publish` printed, once: --key ed25519:…"
        )
    return (
        f"{origin}: signed by {says}, and this device trusts {', '.join(sorted(trusted))}; if the "
        "publisher has a new key, give its line once: --key ed25519:…"
    )


def _message(kind: str, payload: bytes) -> bytes:
    words = (b"DSSEv1", str(len(kind)).encode(), kind.encode(), str(len(payload)).encode(), payload)
    return b" ".join(words)
