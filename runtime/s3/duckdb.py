"""Lets DuckDB read S3 through our own client, because DuckDB's S3 extension is a download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.s3.client import client_options, retry_config
from runtime.s3.config import Access
from runtime.s3.credentials import provider

if TYPE_CHECKING:
    import duckdb
    from obstore.store import S3Config


def let_read(connection: duckdb.DuckDBPyConnection, access: Access) -> None:
    """Register `s3://` as a file system of a connection. Raises StorageError without credentials."""
    from obstore.fsspec import FsspecStore

    class Buckets(FsspecStore):
        # fsspec caches instances, but lakes of one process may differ in credentials and endpoints.
        cachable = False

    config: S3Config = {"region": access.region}
    if access.endpoint is not None:
        config["endpoint"] = access.endpoint
    buckets = Buckets(
        "s3",
        config=config,
        client_options=client_options(access),
        retry_config=retry_config(),
        credential_provider=provider(),
    )
    connection.register_filesystem(buckets)
