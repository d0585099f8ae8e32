"""S3 access as options of delta-rs and of the engines' object_store library."""

from __future__ import annotations

import os

from runtime.process.environment import set_environment
from runtime.s3.config import CONNECT_SECONDS, REQUEST_SECONDS, RETRIES, RETRY_SECONDS, Access, is_s3
from runtime.s3.credentials import provider


def variables(access: Access) -> dict[str, str]:
    """S3 access as environment variables. Not AWS_ENDPOINT_URL, which applies to all AWS services."""
    values = {
        "AWS_REGION": access.region,
        "AWS_ENDPOINT": access.endpoint,
        "AWS_ALLOW_HTTP": "true" if access.allows_http else None,
        "AWS_CONNECT_TIMEOUT": f"{CONNECT_SECONDS}s",
        "AWS_TIMEOUT": f"{REQUEST_SECONDS}s",
    }
    return {name: value for name, value in values.items() if value is not None}


def storage_options(uri: str, access: Access) -> dict[str, str] | None:
    """delta-rs's storage options for the table at `uri`; None for a table on local disk.

    Raises StorageError when credentials are missing.
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
        # For endpoints other than AWS, delta-rs uses profiles and roles only with this option.
        options["AWS_FORCE_CREDENTIAL_LOAD"] = "true"
        # delta-rs assumes a role in the region of the environment, not in the region of these options.
        set_environment(variables(access))
    return options
