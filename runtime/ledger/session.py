"""The lease and the published tables, for every maintenance command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from runtime.delta.store import Store
from runtime.delta.versions import TableVersions
from runtime.ledger.facts import Facts, State, required
from runtime.ledger.lease import Owner, claim
from runtime.ledger.ledger import Ledger
from runtime.ledger.progress import Progress
from runtime.ledger.publish import publish
from runtime.ledger.rollback import rolled_back
from runtime.settings.load import Settings
from runtime.table import Table


@dataclass(frozen=True)
class LakeContext:
    """One lake: its settings, its tables and its progress display."""

    settings: Settings
    tables: Mapping[str, Table]
    progress: Progress

    @property
    def store(self) -> Store:
        return Store.of(self.settings)

    def ledger(self) -> Ledger:
        """A new handle on its ledger."""
        return Ledger.of(self.store)

    def last_of(self, known: Facts) -> State:
        """Its last published state. Raises UsageError when there is none."""
        return required(known.last, self.settings.lake)


@dataclass(frozen=True)
class WriteSession:
    """The lake under our lease, after the rollback of killed runs."""

    owner: Owner
    known: Facts
    heads: TableVersions

    @property
    def last(self) -> State:
        """The state to continue."""
        assert self.known.last is not None  # write_session requires a batch
        return self.known.last

    def publish(self, state: State) -> None:
        """Make a state visible. Raises Fenced if another process wrote to a table."""
        self.heads.check()
        publish(self.owner, self.heads.store, state)


@contextmanager
def write_session(context: LakeContext, command: str, also: State | None = None) -> Iterator[WriteSession]:
    """Hold the lease while the block runs, and open the published tables and those of the state `also`.

    Raises LeaseHeld; UsageError for a lake without a batch.
    """
    ledger = context.ledger()
    context.last_of(ledger.contents())  # before the claim, which creates a ledger
    with claim(ledger, command, context.settings.lease_seconds) as owner:
        published = {*context.last_of(ledger.contents()).tables, *(also.tables if also else ())}
        tables = {name: table for name, table in context.tables.items() if name in published}
        heads = rolled_back(context.store, tables, owner, context.progress)
        yield WriteSession(owner, ledger.contents(), heads)
