"""How S3 is reached: endpoint, region, signed or not. Never a credential.

Every client in the process and on workers asks the standard chain itself, so this may travel in plans
and options.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple, Protocol

from runtime.errors import StorageError

SCHEME = "s3://"
ANY_REGION = "us-east-1"  # where none is said
CHAIN = "AWS_* variables, a profile in ~/.aws, or a role of this machine"
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
    """No endpoint: AWS itself. A region always: without one, Sail asks AWS for it, wherever the bucket is."""

    endpoint: str | None = None
    region: str = ANY_REGION
    anonymous: bool = False

    @classmethod
    def chosen(cls, settings: Chosen) -> Access:
        """What the settings say, then AWS's own variables, then the profile, so that all clients agree.

        Raises StorageError for an endpoint with a password.
        """
        # Not at the top: this module travels to workers, which have none of ours.
        from runtime.process.environment import first_said
        from runtime.s3.credentials import profile
        from runtime.settings.secrets import holds_secret, without_passwords

        endpoint = settings.endpoint or first_said("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        region = settings.region or first_said("AWS_REGION", "AWS_DEFAULT_REGION")
        if endpoint is None or region is None:
            said: dict[str, str] = {}
            with suppress(StorageError):  # told once a bucket asks for credentials: work on disk needs none
                said = profile()
            endpoint, region = endpoint or said.get("endpoint_url"), region or said.get("region")
        if endpoint and holds_secret(endpoint):
            raise StorageError(
                f"S3: the endpoint {without_passwords(endpoint)} holds a password, and none may stand there. "
                f"Credentials come from {CHAIN}."
            )
        return cls(endpoint, region or ANY_REGION, settings.anonymous)

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
