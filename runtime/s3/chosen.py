"""How S3 is reached: the settings first, then AWS's own variables, then the profile."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from runtime.errors import StorageError
from runtime.s3.config import ANY_REGION, CHAIN, Access


class Chosen(Protocol):
    """What the settings say about S3."""

    @property
    def endpoint(self) -> str | None: ...
    @property
    def region(self) -> str | None: ...
    @property
    def anonymous(self) -> bool: ...


def chosen_access(settings: Chosen) -> Access:
    """What the settings say, then AWS's own variables, then the profile, so that all clients agree.

    Raises StorageError for an endpoint with a password.
    """
    # Not at the top: this function travels to workers, which cannot import these modules.
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
    return Access(endpoint, region or ANY_REGION, settings.anonymous)
