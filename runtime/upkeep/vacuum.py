"""Vacuum: remove the files that no kept state reads.

Kept are the last state, pinned batches, and what a reader can ask for within `history_days`: states
published since then, and the one that was current at that time. `history_days: null` keeps every state;
then only files of killed runs are removed. Another batch stays readable as long as the kept states need all
its files. The tables' logs stay whole, and no table gets a new version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from urllib.parse import unquote

from runtime.delta.data_files import lying, remove
from runtime.delta.store import Store, file_list
from runtime.errors import UsageError
from runtime.ledger.facts import Facts, State, now, vacuum_row
from runtime.ledger.session import LakeContext, write_session


@dataclass(frozen=True)
class Clearance:
    """What a vacuum removes: `batches` become unreadable; `files` and bytes by table; `since` was last."""

    batches: Sequence[int]
    files: Mapping[str, Mapping[str, int]]
    since: int
    done: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not self.batches and not any(self.files.values())


def prospect(context: LakeContext, history_days: int | None) -> Clearance:
    """What a vacuum would remove. Raises UsageError for a lake without a batch."""
    return _prospect(context, context.ledger().contents(), history_days)


def vacuum(context: LakeContext, history_days: int | None, *, since: int | None = None) -> Clearance:
    """Remove the files that no kept state reads. `since`: only if that batch is still the last one.

    Raises UsageError, LeaseHeld, Fenced.
    """
    with write_session(context, "vacuum") as session:
        plan = _prospect(context, session.known, history_days)
        if since is not None and plan.since != since:
            raise UsageError(
                f"vacuum: batch {plan.since} was published while you were asked about batch {since}. "
                "Nothing was removed; look again."
            )
        if plan.batches:
            # Committed first: if the removal is interrupted, no unreadable batch is listed as readable.
            session.owner.commit([vacuum_row(plan.batches)])
            context.store.flush()
        for name, files in plan.files.items():
            table = context.store.open(name)
            if files and table is not None:
                session.owner.commit([])  # raises Fenced without the lease, which removal needs, too
                remove(table, files)
    return replace(plan, done=True)


def _prospect(context: LakeContext, known: Facts, history_days: int | None) -> Clearance:
    states, readings = kept_states(known, history_days), Readings(context.store)
    needed = {name: readings.of_all(name, states) for name in sorted(known.published)}
    spared = {state.batch_id for state in states}
    lost = [
        state.batch_id
        for state in known.readable
        if state.batch_id not in spared
        and any(not readings.of(n, t["version"]) <= needed[n] for n, t in state.tables.items())
    ]
    files = {name: _needless(context, name, paths) for name, paths in needed.items()}
    return Clearance(lost, files, context.last_of(known).batch_id)


def kept_states(known: Facts, history_days: int | None) -> list[State]:
    """The states that stay readable, oldest first."""
    if history_days is None:
        return list(known.readable)
    start = now() - timedelta(days=history_days)
    before = [s.batch_id for s in known.readable if s.published_at <= start]
    last = [known.last.batch_id] if known.last else []
    pinned = {*known.pins, *last, *before[-1:]}
    return [s for s in known.readable if s.batch_id in pinned or s.published_at > start]


def _needless(context: LakeContext, name: str, needed: Collection[str]) -> dict[str, int]:
    """The unneeded files of a table, with their bytes."""
    table = context.store.open(name)
    return {} if table is None else {p: size for p, size in lying(table).items() if p not in needed}


OPENING = 8  # versions opened at once: in a bucket each takes a few requests


@dataclass
class Readings:
    """The files that each version of the lake's tables reads. A version is opened once."""

    store: Store
    _known: dict[tuple[str, int], frozenset[str]] = field(default_factory=dict)

    def of(self, name: str, version: int) -> frozenset[str]:
        """The paths, relative to the table, that a version reads; none where the table is missing."""
        if (name, version) not in self._known:
            table = self.store.open(name, version)
            # The log holds paths as URIs.
            paths = file_list(table)["path"] if table else ()
            self._known[name, version] = frozenset(map(unquote, paths))
        return self._known[name, version]

    def of_all(self, name: str, states: Iterable[State]) -> frozenset[str]:
        """The paths, relative to the table, that any of the states reads."""
        versions = {s.tables[name]["version"] for s in states if name in s.tables}
        with ThreadPoolExecutor(OPENING) as pool:
            read = pool.map(lambda version: self.of(name, version), sorted(versions))
            return frozenset(path for paths in read for path in paths)
