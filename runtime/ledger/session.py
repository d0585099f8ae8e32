"""What every command of upkeep stands on: the lease, and the tables as last published."""

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
    """One lake: its settings, its tables, and who is told what is done to it."""

    settings: Settings
    tables: Mapping[str, Table]
    progress: Progress

    @property
    def store(self) -> Store:
        """Where its tables are."""
        return Store.of(self.settings)

    def ledger(self) -> Ledger:
        """A new handle on its ledger."""
        return Ledger.of(self.store)

    def last_of(self, known: Facts) -> State:
        """Its last published state. Raises UsageError when there is none."""
        return required(known.last, self.settings.lake)


@dataclass(frozen=True)
class WriteSession:
    """The lake under our lease, with nothing of a killed run left in it."""

    owner: Owner
    known: Facts
    heads: TableVersions

    @property
    def last(self) -> State:
        """The state we continue."""
        assert self.known.last is not None  # or nobody stands here
        return self.known.last

    def publish(self, state: State) -> None:
        """Make a state visible, unless someone else wrote to a table. Raises Fenced."""
        self.heads.check()
        publish(self.owner, self.heads.store, state)


@contextmanager
def write_session(context: LakeContext, command: str, also: State | None = None) -> Iterator[WriteSession]:
    """The lease and the published tables, and those of the state `also`, while the block runs.

    Raises LeaseHeld, and UsageError for a lake without a batch.
    """
    ledger = context.ledger()
    context.last_of(ledger.contents())  # before a claim makes a ledger where there is no lake
    with claim(ledger, command, context.settings.lease_seconds) as owner:
        published = {*context.last_of(ledger.contents()).tables, *(also.tables if also else ())}
        tables = {name: table for name, table in context.tables.items() if name in published}
        heads = rolled_back(context.store, tables, owner, context.progress)
        yield WriteSession(owner, ledger.contents(), heads)
