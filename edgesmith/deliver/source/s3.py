"""S3-compatible storage: AWS, MinIO, Garage, Ceph; addresses are signed, then fetched over HTTP.

Credentials are looked for where other tools keep them: AWS_ACCESS_KEY_ID and the like,
~/.aws/credentials, the instance's role; without any, requests are anonymous. AWS_ENDPOINT_URL names
a server other than Amazon's, AWS_REGION its region.
"""

from __future__ import annotations

import os
from datetime import timedelta
from urllib.parse import quote, urlsplit

import minio
from minio.credentials.providers import (
    AWSConfigProvider,
    ChainedProvider,
    EnvAWSProvider,
    IamAwsProvider,
    Provider,
)
from minio.error import MinioException

from edgesmith.deliver.errors import SourceError, TransferError
from edgesmith.deliver.source.http import Http

_AMAZON = "https://s3.amazonaws.com"
# Of one request; an object that takes longer goes on with another.
_VALID = timedelta(hours=1)


class S3(Http):
    """A bucket, or the part of it below a prefix."""

    remedy_of_refusal = (
        "may these credentials read it? AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
        "AWS_PROFILE, or none for a public bucket"
    )


def open_source(address: str) -> S3:
    """The source of s3://bucket/prefix."""
    parts = urlsplit(address)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    if not bucket or parts.query or parts.fragment or "@" in bucket:
        raise SourceError(f"{address}: write s3://bucket/prefix")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", _AMAZON)
    server = urlsplit(endpoint)
    if server.scheme not in {"http", "https"} or not server.netloc or server.path.strip("/"):
        raise SourceError(f"AWS_ENDPOINT_URL is {endpoint!r}; write https://host:port")
    provider = _provider(endpoint == _AMAZON)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    client = minio.Minio(
        server.netloc,
        region=region,
        secure=server.scheme == "https",
        credentials=provider,
    )

    def url(place: str) -> str:
        name = f"{prefix}/{place}" if prefix else place
        try:
            if provider is None:
                return f"{endpoint.rstrip('/')}/{quote(bucket)}/{quote(name)}"
            return client.presigned_get_object(bucket, name, expires=_VALID)
        except ValueError as fault:
            raise SourceError(f"{address}: {fault}; write s3://bucket/prefix") from fault
        except MinioException as fault:
            raise TransferError(f"{address}: {fault}") from fault

    return S3(f"s3://{bucket}/{prefix}".rstrip("/"), url)


def _provider(on_amazon: bool) -> Provider | None:
    """Where credentials come from; None where there are none."""
    providers: list[Provider] = [EnvAWSProvider(), AWSConfigProvider()]
    if on_amazon:  # elsewhere nobody answers at the address that a role is asked for at
        providers.append(IamAwsProvider())
    chain = ChainedProvider(providers)
    try:
        chain.retrieve()
    except (ValueError, OSError, MinioException):
        return None
    return chain
