"""How S3 is reached, in the names that delta-rs and the object store under our engines read."""

from __future__ import annotations

import os

from runtime.process.environment import set_environment
from runtime.s3.config import CONNECT_SECONDS, REQUEST_SECONDS, RETRIES, RETRY_SECONDS, Access, is_s3
from runtime.s3.credentials import provider


def variables(access: Access) -> dict[str, str]:
    """As environment variables. Not AWS_ENDPOINT_URL, which would be taken for all of AWS's services."""
    found = {
        "AWS_REGION": access.region,
        "AWS_ENDPOINT": access.endpoint,
        "AWS_ALLOW_HTTP": "true" if access.allows_http else None,
        "AWS_CONNECT_TIMEOUT": f"{CONNECT_SECONDS}s",
        "AWS_TIMEOUT": f"{REQUEST_SECONDS}s",
    }
    return {name: value for name, value in found.items() if value is not None}


def storage_options(uri: str, access: Access) -> dict[str, str] | None:
    """As delta-rs takes them for the table at `uri`; None for one on local disk.

    Raises StorageError where credentials are missing.
    """
    if not is_s3(uri):
        return None
    options = {
        **variables(access),
        "max_retries": str(RETRIES),
        "retry_timeout": f"{RETRY_SECONDS}s",
    }
    provider()
    if "AWS_ACCESS_KEY_ID" not in os.environ:
        # Away from AWS, delta-rs looks for profiles and roles only when told to.
        options["AWS_FORCE_CREDENTIAL_LOAD"] = "true"
        # It asks for a role's keys in the region that the environment names, and not in the one it is told.
        set_environment(variables(access))
    return options
