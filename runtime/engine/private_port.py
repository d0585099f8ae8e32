"""A loopback port of a server in this process, closed to others once our client has connected.

Sail authenticates no client: any local user who reaches its port runs code as the user of the run. The
server's listening descriptor belongs to this process, so `dup2` puts another socket in its place: the kernel
closes the port, and accepted connections stay open. Works wherever sockets are descriptors, without /proc.
"""

from __future__ import annotations

import os
import resource
import socket
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from runtime.errors import EngineError

MOST_DESCRIPTORS = 1 << 20
Address = tuple[str, int]


class _Socket(NamedTuple):
    descriptor: int
    name: Address
    peer: Address | None
    listens: bool


class PrivatePort:
    """The port of a server to which our client has just connected.

    Raises EngineError when another program has connected too, and ends its connection.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        listening = [s.descriptor for s in _sockets() if s.name == address and s.listens]
        # Keeps the port bound, so that no server of another user can answer our client.
        self._bound = socket.socket()
        self._bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for descriptor in listening:
            os.dup2(self._bound.fileno(), descriptor, inheritable=False)
        ours = [s for s in _sockets() if s.peer == address]
        self._client = [s.name for s in ours]
        accepted = self.require_alone()
        try:
            self._bound.bind(address)
        except OSError as taken:
            raise intruded() from taken
        self._bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        self._identities = _identities([*listening, ours[0].descriptor, accepted])

    def require_alone(self) -> int:
        """The server's descriptor of our connection. Raises EngineError if there is another connection."""
        accepted = [s for s in _sockets() if s.name == self._address and s.peer is not None]
        if len(accepted) == 1 and [s.peer for s in accepted] == self._client:
            return accepted[0].descriptor
        for connection in accepted:
            with suppress(OSError), socket.socket(fileno=os.dup(connection.descriptor)) as twin:
                twin.shutdown(socket.SHUT_RDWR)
        raise intruded()

    def is_served(self) -> bool:
        """Whether the server is not stopping, and our connection to it is open."""
        try:
            return _identities(self._identities) == self._identities
        except OSError:
            return False


def _identities(descriptors: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Device and inode of each open socket, as descriptors are reused. Raises OSError for a closed one."""
    return {d: (status.st_dev, status.st_ino) for d in descriptors for status in [os.fstat(d)]}


def _sockets() -> Iterator[_Socket]:
    """The IPv4 and IPv6 sockets of this process."""
    for descriptor in _descriptors():
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            is_blocking = os.get_blocking(descriptor)
            with socket.socket(fileno=os.dup(descriptor)) as twin:
                os.set_blocking(descriptor, is_blocking)  # socket.setdefaulttimeout may have changed it
                if twin.family in (socket.AF_INET, socket.AF_INET6):
                    peer = _peer(twin)
                    yield _Socket(descriptor, _address(twin.getsockname()), peer, _listens(twin, peer))
        except OSError:
            continue  # closed in the meantime


def _descriptors() -> Iterable[int]:
    try:
        return [int(entry.name) for entry in Path("/dev/fd").iterdir()]
    except OSError:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return range(MOST_DESCRIPTORS if limit == resource.RLIM_INFINITY else min(limit, MOST_DESCRIPTORS))


def _peer(connected: socket.socket) -> Address | None:
    try:
        return _address(connected.getpeername())
    except OSError:
        return None


def _listens(opened: socket.socket, peer: Address | None) -> bool:
    try:
        return bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # a system without SO_ACCEPTCONN
        return peer is None


def _address(name: tuple[str, int]) -> Address:
    return name[0].removeprefix("::ffff:"), name[1]


def intruded() -> EngineError:
    """The error for a server that another program may have used."""
    return EngineError(
        "engine sail: another program connected to Sail's port on 127.0.0.1 before this run could close it, "
        "and could have read and changed what this user may. So the run stops before it reads or writes. "
        "Find that program among those of this machine's other users, then run again (docs/security.md)."
    )
