"""Resolves S3 access from the settings, AWS's own variables and the profile, in this order."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from runtime.errors import StorageError
from runtime.s3.config import ANY_REGION, CHAIN, Access


class Chosen(Protocol):
    @property
    def endpoint(self) -> str | None: ...
    @property
    def region(self) -> str | None: ...
    @property
    def anonymous(self) -> bool: ...


def chosen_access(settings: Chosen) -> Access:
    """S3 access by settings, then AWS's own variables, then the profile, the same for all clients.

    Raises StorageError for an endpoint with a password.
    """
    # Imported here because this module is pickled to workers, which cannot import these modules.
    from runtime.process.environment import first_said
    from runtime.s3.credentials import profile
    from runtime.settings.secrets import holds_secret, without_passwords

    endpoint = settings.endpoint or first_said("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    region = settings.region or first_said("AWS_REGION", "AWS_DEFAULT_REGION")
    if endpoint is None or region is None:
        entries: dict[str, str] = {}
        with suppress(StorageError):  # raised again when a bucket needs credentials; local disk needs none
            entries = profile()
        endpoint, region = endpoint or entries.get("endpoint_url"), region or entries.get("region")
    if endpoint and holds_secret(endpoint):
        raise StorageError(
            f"S3: the endpoint {without_passwords(endpoint)} holds a password, and none may stand there. "
            f"Credentials come from {CHAIN}."
        )
    return Access(endpoint, region or ANY_REGION, settings.anonymous)
