"""The lease: one writer per lake, renewed by every commit of its owner and by a heartbeat.

An owner is dead if its process is dead (same machine: boot id, pid and start time), or if its last commit is
older than `lease_seconds`. A new owner commits to the ledger, which makes the old owner's next commit fail: a
paused run that wakes up cannot publish.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from runtime.delta.durability import flush
from runtime.errors import Fenced, LeaseHeld, NotWritable, StorageError, is_refused, room_needed
from runtime.ledger.facts import now
from runtime.ledger.ledger import Ledger
from runtime.ledger.watchdog import Watchdog
from runtime.process.profiling import step
from runtime.s3.config import is_s3
from runtime.s3.failures import map_s3_errors

RACES = 20  # attempts of a forced release while the owner keeps committing


class Owner:
    """The right to write to a lake. It ends when another process commits to the ledger."""

    def __init__(self, ledger: Ledger, command: str, seconds: float) -> None:
        self.ledger = ledger
        self.claim = 0  # the ledger version of our claim: later owners have higher ones
        self._identity = {**_process(), "id": uuid.uuid4().hex, "command": command}
        self._seconds = seconds
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._lost: Fenced | None = None
        self._watchdog = Watchdog(ledger.uri, ledger.access, seconds)
        self._beat = threading.Thread(target=self._keep_alive, name="heartbeat", daemon=True)

    def commit(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append facts and renew the lease. Raises Fenced."""
        with self._lock:
            if self._lost is not None:
                raise self._lost
            self.ledger.commit(rows, self._lease(released=False))
            self._watchdog.broken()

    @step("claim the lease")
    def start(self) -> Self:
        """Claim the lease and begin to renew it. Raises LeaseHeld if another process was faster."""
        try:
            self.commit([])
        except Fenced:
            self.ledger.refresh()
            raise held(self.ledger) from None
        self.claim = self.ledger.version
        self._beat.start()
        self._watchdog.start()
        return self

    @step("release the lease")
    def release(self) -> None:
        """End the lease, unless it is already lost."""
        self._stop.set()
        try:
            self._beat.join()
            self._give_back()
        finally:
            self._watchdog.stop()

    def _give_back(self) -> None:
        # Fenced: another process has the lease now. StorageError: the release cannot be written, and a lease
        # that is not renewed expires.
        with self._lock, suppress(Fenced, StorageError), map_s3_errors(self.ledger.uri, self.ledger.access):
            if self._lost is None and not (self.ledger.lease() or {}).get("released"):
                self.ledger.compact(self._lease(released=False))
                self.ledger.commit([], self._lease(released=True))

    def _lease(self, *, released: bool) -> dict[str, Any]:
        return {
            **self._identity,
            "at": now().isoformat(),
            "seconds": self._seconds,
            "released": released,
        }

    def _keep_alive(self) -> None:
        while not self._stop.wait(self._seconds / 4):
            with self._lock:
                try:
                    self.ledger.commit([], self._lease(released=False))
                    self._watchdog.broken()
                except Fenced as lost:
                    self._lost = lost
                    self._watchdog.stop()
                    return
                except Exception as met:  # full disk, no network: the owner's next commit raises it
                    self._watchdog.goes_on(met)


@contextmanager
def claim(ledger: Ledger, command: str, seconds: float) -> Iterator[Owner]:
    """Hold the lease while the block runs. Raises LeaseHeld that names a live owner, and DiskFull.

    Errors of S3 in the block, from any client, are raised as StorageError.
    """
    with room_needed(str(Path(ledger.uri).parent)), map_s3_errors(ledger.uri, ledger.access):
        _make_folder(ledger.uri)
        ledger.create()
        ledger.refresh()
        if is_held(ledger.lease()):
            raise held(ledger)
        owner = Owner(ledger, command, seconds).start()
        try:
            yield owner
        finally:
            owner.release()
        flush(ledger.uri)  # not after an interrupt: it must not wait for the disk


def _make_folder(uri: str) -> None:
    """Create the folder of a local ledger. Raises NotWritable, because delta-rs gives no reason."""
    if is_s3(uri):
        return
    try:
        Path(uri).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if is_refused(error):
            raise
        raise NotWritable(
            f"{Path(uri).parent}: this folder cannot be made: {os.strerror(error.errno or 0)}. Name another "
            "with --lake."
        ) from error


def is_held(lease: Mapping[str, Any] | None) -> bool:
    """Whether a live process holds this lease."""
    if lease is None or lease["released"]:
        return False
    if lease["boot"] == _boot():
        return _started(lease["pid"]) == lease["started"] and _fresh(lease)
    return _fresh(lease)


def take_away(ledger: Ledger, *, force: bool) -> Mapping[str, Any] | None:
    """Release the lease of a dead owner, or with `force` of a live one. Returns it, None if there was none.

    Raises LeaseHeld for a live owner without `force`.
    """
    for _ in range(RACES):
        ledger.refresh()
        lease = ledger.lease()
        if lease is None or lease["released"]:
            return None
        if is_held(lease) and not force:
            raise LeaseHeld(
                f"{ledger.uri}: the lease is held by process {lease['pid']} on {lease['host']}, which is "
                "alive. Wait for it or stop it; `unlock --force` takes the lease from it, and it will "
                "then publish nothing more."
            )
        with suppress(Fenced):  # its heartbeat committed first
            ledger.commit([], {**lease, "released": True})
            return lease
    raise LeaseHeld(
        f"{ledger.uri}: the holder of the lease commits faster than it can be stopped: try again."
    )


def held(ledger: Ledger) -> LeaseHeld:
    """The error that names the owner."""
    lease = ledger.lease() or {}
    return LeaseHeld(
        f"{ledger.uri} is held by `{lease.get('command', '?')}`, process {lease.get('pid', '?')} on "
        f"{lease.get('host', '?')}, last heard of at {lease.get('at', '?')}. One run writes at a time: "
        "wait for it. Should that process be gone, the lease ends by itself "
        f"{lease.get('seconds', 60):g} s after its last sign of life, or at once with "
        "`python lakehouse.py unlock --force`."
    )


def _fresh(lease: Mapping[str, Any]) -> bool:
    age = now() - datetime.fromisoformat(lease["at"])
    return age < timedelta(seconds=lease["seconds"])


def _process() -> dict[str, Any]:
    pid = os.getpid()
    return {"host": socket.gethostname(), "boot": _boot(), "pid": pid, "started": _started(pid)}


def _boot() -> str:
    """The id of this boot of this machine. A container with its own pid namespace has its own id."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{socket.gethostname()}:{uuid.getnode()}"


def _started(pid: int) -> str | None:
    """The start of a process in kernel ticks; None if it does not exist or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _alive(pid)
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _alive(pid: int) -> str | None:
    """Whether the pid exists, on systems without /proc; 'alive' or None."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "alive"
    return None if Path("/proc/self/stat").exists() else "alive"
