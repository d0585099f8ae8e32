"""How S3 is reached: endpoint, region, signed or not. Never a credential.

Every client in the process and on workers asks the standard chain itself, so this may travel in plans
and options.
"""

from __future__ import annotations

from typing import NamedTuple

SCHEME = "s3://"
ANY_REGION = "us-east-1"  # where none is said
CHAIN = "AWS_* variables, a profile in ~/.aws, or a role of this machine"
# Together they keep an outage below half a minute: a few tries, each given up in time.
CONNECT_SECONDS, REQUEST_SECONDS, RETRY_SECONDS, RETRIES = 5, 20, 15, 8


class Access(NamedTuple):
    """No endpoint: AWS itself. A region always: without one, Sail asks AWS for it, wherever the bucket is."""

    endpoint: str | None = None
    region: str = ANY_REGION
    anonymous: bool = False

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
