"""Publish a state by one commit of the ledger, which also records the digests of its files."""

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
    """Flush the lake to disk, then make a state visible. Raises Fenced if the lease is lost."""
    before = owner.ledger.contents().last
    store.flush()
    owner.commit([state_row(replace(state, commits=_commits(store, before, state)))])
    store.flush()


def _commits(store: Store, before: State | None, state: State) -> dict[str, Mapping[str, Sequence[str]]]:
    """By table and version, the digests of the commits since the state published before."""
    old = before.tables if before else {}
    by_table = {
        name: _noted(store, name, old[name]["version"] if name in old else -1, table["version"])
        for name, table in state.tables.items()
    }
    return {name: noted for name, noted in by_table.items() if noted}


def _noted(store: Store, name: str, after: int, upto: int) -> dict[str, Sequence[str]]:
    """By version, the digest of the commit file, then the mark of each data file that it adds."""
    if after == upto:
        return {}
    log = Log(store.uri(name), store.access)
    bodies = ((version, log.read(version)) for version in range(after + 1, upto + 1))
    return {
        str(version): [digest_of(body), *log.marks(added(body))]
        for version, body in bodies
        if body is not None
    }
