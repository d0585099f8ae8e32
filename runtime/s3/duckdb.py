"""A bucket as DuckDB reads it: through our own client, since DuckDB's extension for S3 is a download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.s3.client import client_options, retry_config
from runtime.s3.config import Access
from runtime.s3.credentials import provider

if TYPE_CHECKING:
    import duckdb
    from obstore.store import S3Config


def let_read(connection: duckdb.DuckDBPyConnection, access: Access) -> None:
    """Let a connection read `s3://…` where it may read files. Raises StorageError without credentials."""
    from obstore.fsspec import FsspecStore

    class Buckets(FsspecStore):
        """Made anew each time: credentials and endpoints may differ between lakes of one process."""

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
