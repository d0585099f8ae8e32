"""How S3 is reached: endpoint, region, signed or not. Never a credential.

Every client in the process and on workers asks the standard chain itself, so this may travel in plans
and options.
"""

from __future__ import annotations

import os
from typing import NamedTuple, Protocol

SCHEME = "s3://"
# Together they keep an outage below half a minute: a few tries, each given up in time.
CONNECT_SECONDS, REQUEST_SECONDS, RETRY_SECONDS, RETRIES = 5, 20, 15, 8


class Chosen(Protocol):
    """What the settings say about S3."""

    @property
    def endpoint(self) -> str | None: ...
    @property
    def region(self) -> str | None: ...
    @property
    def anonymous(self) -> bool: ...


class Access(NamedTuple):
    """None: AWS itself, and the region the environment or the profile names."""

    endpoint: str | None = None
    region: str | None = None
    anonymous: bool = False

    @classmethod
    def chosen(cls, settings: Chosen) -> Access:
        """What the settings say, then what AWS's own variables say, so that all clients agree."""
        return cls(
            settings.endpoint or _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
            settings.region or _first("AWS_REGION", "AWS_DEFAULT_REGION"),
            settings.anonymous,
        )

    @property
    def allows_http(self) -> bool:
        """Whether the endpoint is not encrypted: a server of one's own."""
        return self.endpoint is not None and self.endpoint.startswith("http://")


AWS = Access()


def is_s3(uri: str) -> bool:
    """Whether a resolved location is an object store's, not a local path."""
    return uri.startswith(SCHEME)


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; the key may be empty."""
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    return bucket, key


def _first(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)
