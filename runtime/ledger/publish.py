"""Publishing: one commit of the ledger makes a state visible, and notes what its files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runtime.delta.commit_log import Log, added, digest_of
from runtime.delta.store import Store
from runtime.ledger.facts import State, state_row
from runtime.ledger.lease import Owner
from runtime.process.profiling import step


@step("publish")
def publish(owner: Owner, store: Store, state: State) -> None:
    """Make a state visible, once the disk holds all that it names. Raises Fenced when the lease is lost."""
    before = owner.ledger.contents().last
    store.flush()
    owner.commit([state_row(replace(state, commits=_commits(store, before, state)))])
    store.flush()


def _commits(store: Store, before: State | None, state: State) -> dict[str, Mapping[str, Sequence[str]]]:
    """By table and version, what tells the commits made since the state published before this one."""
    known = before.tables if before else {}
    found = {
        name: _noted(store, name, known[name]["version"] if name in known else -1, table["version"])
        for name, table in state.tables.items()
    }
    return {name: noted for name, noted in found.items() if noted}


def _noted(store: Store, name: str, after: int, upto: int) -> dict[str, Sequence[str]]:
    """A digest of each commit file, then a mark of each data file that it adds, in its order."""
    if after == upto:
        return {}
    log = Log(store.uri(name), store.access)
    bodies = ((version, log.read(version)) for version in range(after + 1, upto + 1))
    return {
        str(version): [digest_of(body), *log.marks(added(body))]
        for version, body in bodies
        if body is not None
    }
