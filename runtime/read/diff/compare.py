"""Two batches compared: which tables, and which of their files have to be read.

A file both states have holds the same rows on both sides, so it is not read. And where an `optimize` lies
between them, the states before and after it hold the same rows in other files: then the way there is the
shorter one, from the first batch to the one before it, and from it to the second.
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
LAYERS = ("gold", "silver", "bronze")  # gold first: it is what readers come for
Step = tuple[Snapshot, Snapshot]


def compare(
    before: Snapshot,
    after: Snapshot,
    tables: Sequence[str] | None = None,
    key: object = None,
    around: Sequence[Step] = (),
) -> Diff:
    """The differences between two states, in these tables (all by default), of one key if given.

    `around`: the steps between them that change rows, where it is known that only those do. Raises
    UsageError for an unknown table, and for a key without exactly one table to look it up in.
    """
    names = _names((before, after), tables)
    if key is not None and len(names) != 1:
        raise UsageError("diff: a key belongs to one table: give it as --table TABLE --key KEY.")
    connection = closed_connection(before.store.root, {}, before.store.access)
    found = {}
    for name in names:
        table = before.tables[name]
        old, new = _fewest_files(name, (before, after), around)
        found[name] = TableDiff(table, old, new, None if key is None else parse_key(table, key), connection)
    return Diff(before.batch_id, after.batch_id, found)


def around_optimize(known: Facts, before: State, after: State) -> list[tuple[State, State]]:
    """The steps between two states that change rows; none where no optimize lies between them.

    None either when files of a step are gone: the two states themselves can still be compared.
    """
    low, high = sorted((before, after), key=lambda state: state.batch_id)
    passed = [s for n, s in sorted(known.batches.items()) if low.batch_id <= n <= high.batch_id]
    turns = [pair for pair in pairwise(passed) if pair[1].kind == "optimize"]
    if not turns or any(state.batch_id in known.vacuumed for pair in turns for state in pair):
        return []
    points = [low, *(state for pair in turns for state in pair), high]
    steps = list(zip(points[::2], points[1::2], strict=True))
    return steps if before is low else [(b, a) for a, b in reversed(steps)]


def _names(states: Step, wanted: Sequence[str] | None) -> list[str]:
    tables = states[0].tables
    known = [n for n in tables if any(n in state.versions for state in states)]
    if not wanted:
        return sorted(known, key=lambda name: LAYERS.index(tables[name].layer))
    names = [name if "." in name else f"gold.{name}" for name in wanted]
    for name, given in zip(names, wanted, strict=True):
        if name not in known:
            raise no_such_table("diff", given, known)
    return list(dict.fromkeys(names))


def _fewest_files(name: str, direct: Step, around: Sequence[Step]) -> tuple[Files, Files]:
    """The files to read: of the two states, or of all steps between them, if those are fewer.

    Rows only after = rows only before + what each step brought - what it took.
    """
    old, new = _only_in_one(name, *direct)
    if not around or not (old.uris and new.uris):
        return old, new
    parts = [_only_in_one(name, *step) for step in around]
    if any(part.columns not in (old.columns, frozenset()) for pair in parts for part in pair):
        return old, new
    took, brought = (Counter(uri for pair in parts for uri in pair[side].uris) for side in (0, 1))
    fewer = Files(tuple((took - brought).elements()), old.columns)
    more = Files(tuple((brought - took).elements()), old.columns)
    if len(fewer.uris) + len(more.uris) < len(old.uris) + len(new.uris):
        return fewer, more
    return old, new


def _only_in_one(name: str, before: Snapshot, after: Snapshot) -> tuple[Files, Files]:
    """The files of a table that only the one and only the other state has."""
    if before.versions.get(name) == after.versions.get(name):
        return NO_FILES, NO_FILES
    old, new = (s.files(name) if name in s.versions else NO_FILES for s in (before, after))
    shared = set(old.uris) & set(new.uris)
    return old.without(shared), new.without(shared)
