"""Compare two batches: choose the tables, and the files that have to be read.

A file that both states have holds the same rows on both sides, so it is not read. An `optimize` between
them writes the same rows to other files. Then it is cheaper to compare the first batch with the one before
the optimize, and the optimize with the second batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from runtime.errors import UsageError
from runtime.ledger.facts import Facts, State
from runtime.read.diff.changes import Diff, TableDiff
from runtime.read.keys import parse_key
from runtime.read.query import closed_connection
from runtime.read.snapshot import Files, Snapshot
from runtime.text.nearest import no_such_table

NO_FILES = Files((), frozenset())
LAYERS = ("gold", "silver", "bronze")  # gold first: readers look at it most
Step = tuple[Snapshot, Snapshot]


def compare(
    before: Snapshot,
    after: Snapshot,
    tables: Sequence[str] | None = None,
    key: object = None,
    around: Sequence[Step] = (),
) -> Diff:
    """The differences between two states, in these tables (by default all), of one key if set.

    `around`: the steps between the states that change rows, if known. Raises UsageError for an unknown
    table, and for a key without exactly one table.
    """
    names = _names((before, after), tables)
    if key is not None and len(names) != 1:
        raise UsageError("diff: a key belongs to one table: give it as --table TABLE --key KEY.")
    connection = closed_connection(before.store.root, {}, before.store.access)
    diffs = {}
    for name in names:
        table = before.tables[name]
        old, new = _fewest_files(name, (before, after), around)
        diffs[name] = TableDiff(table, old, new, None if key is None else parse_key(table, key), connection)
    return Diff(before.batch_id, after.batch_id, diffs)


def around_optimize(known: Facts, before: State, after: State) -> list[tuple[State, State]]:
    """The steps between two states that change rows; none without an optimize between them.

    Also none when files of a step are gone: the two states themselves can still be compared.
    """
    low, high = sorted((before, after), key=lambda state: state.batch_id)
    passed = [s for n, s in sorted(known.batches.items()) if low.batch_id <= n <= high.batch_id]
    turns = [pair for pair in pairwise(passed) if pair[1].kind == "optimize"]
    if not turns or any(state.batch_id in known.vacuumed for pair in turns for state in pair):
        return []
    points = [low, *(state for pair in turns for state in pair), high]
    steps = list(zip(points[::2], points[1::2], strict=True))
    return steps if before is low else [(b, a) for a, b in reversed(steps)]


def _names(states: Step, requested: Sequence[str] | None) -> list[str]:
    tables = states[0].tables
    existing = [n for n in tables if any(n in state.versions for state in states)]
    if not requested:
        return sorted(existing, key=lambda name: LAYERS.index(tables[name].layer))
    names = [name if "." in name else f"gold.{name}" for name in requested]
    for name, original in zip(names, requested, strict=True):
        if name not in existing:
            raise no_such_table("diff", original, existing)
    return list(dict.fromkeys(names))


def _fewest_files(name: str, direct: Step, around: Sequence[Step]) -> tuple[Files, Files]:
    """The files to read: those of the two states, or of all steps between them if those are fewer.

    Rows only after = rows only before + rows that the steps added - rows that they removed.
    """
    old, new = _only_in_one(name, *direct)
    if not around or not (old.uris and new.uris):
        return old, new
    parts = [_only_in_one(name, *step) for step in around]
    if any(part.columns not in (old.columns, frozenset()) for pair in parts for part in pair):
        return old, new
    removed, added = (Counter(uri for pair in parts for uri in pair[side].uris) for side in (0, 1))
    fewer = Files(tuple((removed - added).elements()), old.columns)
    more = Files(tuple((added - removed).elements()), old.columns)
    if len(fewer.uris) + len(more.uris) < len(old.uris) + len(new.uris):
        return fewer, more
    return old, new


def _only_in_one(name: str, before: Snapshot, after: Snapshot) -> tuple[Files, Files]:
    """The files of a table that only the first state has, and those that only the second has."""
    if before.versions.get(name) == after.versions.get(name):
        return NO_FILES, NO_FILES
    old, new = (s.files(name) if name in s.versions else NO_FILES for s in (before, after))
    shared = set(old.uris) & set(new.uris)
    return old.without(shared), new.without(shared)
