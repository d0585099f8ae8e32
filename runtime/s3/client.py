"""Our own S3 client, to list, read, write and delete objects. The engines have clients of their own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runtime.s3.config import CONNECT_SECONDS, REQUEST_SECONDS, RETRIES, RETRY_SECONDS, Access, split
from runtime.s3.credentials import provider

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Store


def client_options(access: Access) -> ClientConfig:
    """Timeouts, and whether plain HTTP is allowed."""
    return {
        "allow_http": access.allows_http,
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "timeout": f"{REQUEST_SECONDS}s",
    }


def retry_config() -> RetryConfig:
    return {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}


def bucket_of(uri: str, access: Access, *, signed: bool = True) -> S3Store:
    """A client of the bucket in `uri`; sends no request. Raises StorageError when credentials are missing."""
    from obstore.store import S3Store

    chosen: dict[str, Any] = {"skip_signature": True}
    if signed:
        chosen = {"credential_provider": credentials} if (credentials := provider()) else {}
    if access.endpoint is not None:  # the client does not accept None
        chosen["endpoint"] = access.endpoint
    return S3Store(
        split(uri)[0],
        region=access.region,
        client_options=client_options(access),
        retry_config=retry_config(),
        **chosen,
    )
