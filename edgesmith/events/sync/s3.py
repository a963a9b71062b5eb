"""S3-compatible storage: one object per batch, named by the batch's key.

A batch that is sent again is written over itself, so the storage holds it once. Credentials and
server as for `edgesmith pull`: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ~/.aws/credentials or the
instance's role; AWS_ENDPOINT_URL for another server than Amazon's, AWS_REGION for its region.
"""

from __future__ import annotations

import os
from datetime import timedelta
from urllib.parse import urlsplit

import minio
import urllib3
from minio.credentials.providers import (
    AWSConfigProvider,
    ChainedProvider,
    EnvAWSProvider,
    IamAwsProvider,
    Provider,
)
from minio.error import MinioException

from edgesmith.events.errors import SyncError, UnreachableError
from edgesmith.events.sync.destination import transfer

_AMAZON = "https://s3.amazonaws.com"
_TIMEOUT = urllib3.Timeout(connect=10, read=30)
_VALID = timedelta(minutes=10)


class S3:
    """A bucket, or the part of it below a prefix."""

    def __init__(self, bucket: str, prefix: str) -> None:
        """SyncError where the address or AWS_ENDPOINT_URL is none."""
        self.name = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get(
            "AWS_ENDPOINT_URL", _AMAZON
        )
        server = urlsplit(endpoint)
        if server.scheme not in {"http", "https"} or not server.netloc or server.path.strip("/"):
            raise SyncError(f"AWS_ENDPOINT_URL is {endpoint!r}; write https://host:port")
        providers: list[Provider] = [EnvAWSProvider(), AWSConfigProvider()]
        if endpoint == _AMAZON:  # elsewhere nobody answers where a role is asked for
            providers.append(IamAwsProvider())
        try:
            self._client = minio.Minio(
                server.netloc,
                region=os.environ.get("AWS_REGION")
                or os.environ.get("AWS_DEFAULT_REGION")
                or "us-east-1",
                secure=server.scheme == "https",
                credentials=ChainedProvider(providers),
            )
        except ValueError as error:
            raise SyncError(f"{self.name}: {error}") from error
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)

    def send(self, key: str, content: bytes) -> None:
        """As `Destination.send` says."""
        try:
            url = self._client.presigned_put_object(
                self._bucket, f"{self._prefix}{key}.json", expires=_VALID
            )
        except ValueError as error:
            raise SyncError(
                f"{self.name}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and write "
                "s3://bucket/prefix"
            ) from error
        except (OSError, MinioException, urllib3.exceptions.HTTPError) as error:
            raise UnreachableError(f"{self.name}: no credentials at present ({error})") from error
        headers = {"Content-Type": "application/json"}
        transfer(self._pool, "PUT", url, self.name, headers, content)
