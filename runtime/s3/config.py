"""S3 access: endpoint, region, signed or not. Never a credential.

Every client, also on workers, gets its credentials from the standard chain. So an Access may be sent
in plans and options.
"""

from __future__ import annotations

from typing import NamedTuple

SCHEME = "s3://"
ANY_REGION = "us-east-1"  # the default
CHAIN = "AWS_* variables, a profile in ~/.aws, or a role of this machine"
# With these limits, a client reports an outage within half a minute.
CONNECT_SECONDS, REQUEST_SECONDS, RETRY_SECONDS, RETRIES = 5, 20, 15, 8


class Access(NamedTuple):
    """How to reach S3. No endpoint means AWS.

    The region is never empty: without one, Sail requests it from AWS, even for a bucket elsewhere.
    """

    endpoint: str | None = None
    region: str = ANY_REGION
    anonymous: bool = False

    @property
    def allows_http(self) -> bool:
        """Whether the endpoint is plain HTTP, as for a local server."""
        return self.endpoint is not None and self.endpoint.startswith("http://")


AWS = Access()


def is_s3(uri: str) -> bool:
    """Whether a resolved location is in S3, not a local path."""
    return uri.startswith(SCHEME)


def split(uri: str) -> tuple[str, str]:
    """(bucket, key) of `s3://bucket/key`; the key may be empty."""
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    return bucket, key
