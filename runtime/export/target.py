"""One transaction in a PostgreSQL database, through ADBC. All of it becomes visible, or nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from runtime.errors import TargetError, UsageError

if TYPE_CHECKING:
    import pyarrow
    from adbc_driver_manager.dbapi import Connection

# As libpq parses it: the user ends at the first @ before any slash.
ADDRESS = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^/@]*)@)?(?P<hosts>[^/?]*)/?(?P<database>[^?]*)(?:\?(?P<options>.*))?",
    re.DOTALL,
)
SECRETS = {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
NAMING = {"dbname", "service"}  # a service file can name the database
NAMING_VARIABLES = ("PGDATABASE", "PGSERVICE")
NAME_BYTES = 63  # PostgreSQL truncates a longer name without an error
WAYS = "in PGPASSWORD, in ~/.pgpass or in a service file (PGSERVICE)"
# A dead client keeps no locks: the server checks the connection every second, also within a statement.
SETTINGS = """
    select set_config(name, value, true) from pg_settings join (values
        ('client_connection_check_interval', '1000'), ('lock_timeout', '60000'),
        ('standard_conforming_strings', 'on'), ('maintenance_work_mem', '262144'),
        ('timezone', 'UTC')
    ) as wanted (name, value) using (name)
"""
NO_TEXT = "22021"


class Target:
    """The open transaction. Every method raises TargetError when PostgreSQL refuses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, *statements: str) -> int:
        """Run statements. Returns the number of rows that the last one affected."""
        affected = 0
        for statement in statements:
            with _told(), self._connection.cursor() as cursor:
                cursor.execute(statement)
                affected = cursor.rowcount
        return affected

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with _told(), self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def copy(self, schema: str | None, table: str, rows: pyarrow.RecordBatchReader) -> int:
        """COPY rows into a table, batch by batch; without a schema the table is a temporary one."""
        with _told(), self._connection.cursor() as cursor:
            where: dict[str, Any] = {"db_schema_name": schema} if schema else {"temporary": True}
            return cursor.adbc_ingest(table, rows, mode="append", **where)


@contextmanager
def transaction(uri: str) -> Iterator[Target]:
    """Connect; commit if the block succeeds, otherwise change nothing. Raises TargetError, UsageError."""
    connection = _connect(uri)
    try:
        target = Target(connection)
        target.rows(SETTINGS)
        yield target
        with _told():
            connection.commit()
    finally:
        with suppress(Exception):  # the connection may be what failed; the server rolls back by itself
            connection.close()


def check_address(uri: str) -> str:
    """The address, if it names a database and holds no password.

    Raises UsageError, whose text never holds a password.
    """
    match = ADDRESS.fullmatch(uri)
    if match is None:
        raise UsageError(
            "--to: expected an address such as postgresql://user@host/database or postgresql:///database."
        )
    # A slash in a password ends the user; libpq reads the rest as a port and a database.
    user = match["user"] or f"{match['hosts']}/{match['database']}".rpartition("@")[0]
    _, _, password = unquote(user).partition(":")
    options = {name.strip().lower() for name, value in parse_qsl(match["options"] or "") if value}
    if password or options & SECRETS:
        raise UsageError(
            "--to: a password may not stand in the address, where other users of this machine and the "
            f"shell's history see it. Leave it out, and give it {WAYS}."
        )
    if not (match["database"] or options & NAMING or any(map(os.environ.get, NAMING_VARIABLES))):
        raise UsageError(
            "--to: the address names no database, as postgresql://user@host/database does, and PGDATABASE "
            "is not set. PostgreSQL would take the one that is called like the user."
        )
    return uri


def check_schema(name: str) -> str:
    """The name, if PostgreSQL can store it unchanged. Raises UsageError."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = 0
    if not size or "\0" in name:
        raise UsageError("--schema: expected a name, in characters that PostgreSQL can store.")
    if size > NAME_BYTES:
        limit = f"PostgreSQL keeps the first {NAME_BYTES} bytes of a name"
        raise UsageError(f"--schema: {limit}, and this one has {size}: {name}")
    return name


def _connect(uri: str) -> Connection:
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise UsageError(
            "export needs the package adbc-driver-postgresql, which is not installed: "
            "pip install 'sparkify-lakehouse[postgres]'"
        ) from None
    options = [f"application_name=sparkify-lakehouse-{os.getpid()}"]
    if "connect_timeout=" not in uri and "PGCONNECT_TIMEOUT" not in os.environ:
        options.append("connect_timeout=10")
    with _told(f"Check the address; a password is given {WAYS}."):
        joined = uri + ("&" if "?" in uri else "?") + "&".join(options)
        connection: Connection = dbapi.connect(joined)
    return connection


@contextmanager
def _told(advice: str = "Nothing of this export was written.") -> Iterator[None]:
    """Raise TargetError for the driver's errors, in one paragraph."""
    from adbc_driver_manager import Error

    try:
        yield
    except Error as error:
        if error.sqlstate == NO_TEXT:
            advice = "A text holds a character that PostgreSQL cannot store. " + advice
        raise TargetError(f"PostgreSQL: {_said(error)} {advice}") from error


def _said(error: Exception) -> str:
    """The server's message without the parts that the driver adds: the statement, the attempts.

    The server's hint to use CASCADE is left out: it would drop or empty the user's own dependent objects.
    """
    text = re.sub(r"\nHINT: .*CASCADE.*", "", str(error).partition("\n\nQuery was:")[0])
    text = re.sub(r"^\w+: \[libpq\] ", "", re.sub(r"\.? *(SQLSTATE: \w+|Vendor code: \d+)", "", text))
    text, _, detail = text.rpartition("ERROR:  ")[2].partition("\nDETAIL:  ")
    if detail:
        text += f": {detail.strip().replace(chr(10), ', ')}"
    return " ".join(text.split()).rstrip(".") + "."
