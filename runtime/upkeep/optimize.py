"""Compaction: many small files become few, by new commits, published as one state.

Readers of older batches go on reading the files they read before. The automatic compaction at the end of
a run merges only small files into middling ones, so that its cost follows the new data: however large a
table is, at most MIDDLING bytes of a partition are written again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.errors import UsageError
from runtime.ledger.facts import State
from runtime.ledger.session import LakeContext, write_session
from runtime.run.compact import compacted
from runtime.text.nearest import nearest_table


@dataclass(frozen=True)
class Compaction:
    """Files and bytes of each table looked at, before and after. `state`: None when nothing was merged."""

    tables: Mapping[str, tuple[Mapping[str, int], Mapping[str, int]]]
    state: State | None = None


def optimize(context: LakeContext, names: Sequence[str], target_bytes: int | None = None) -> Compaction:
    """Merge the small files of tables, given by table or layer (all by default).

    Raises UsageError for an unknown name, LeaseHeld, Fenced.
    """
    last = context.last_of(context.ledger().contents())
    wanted = _selected([n for n in context.tables if n in last.tables], names)
    with write_session(context, "optimize") as held:
        before = {name: held.last.tables[name] for name in wanted}
        target = target_bytes or context.settings.target_file_size
        state = compacted(held.heads, held.last, wanted, target, context)
        if state is not None:
            held.publish(state)
    after = (state or held.last).tables
    return Compaction({name: (before[name], after[name]) for name in wanted}, state)


def _selected(tables: Sequence[str], names: Sequence[str]) -> list[str]:
    layers = {name.partition(".")[0] for name in tables}
    for name in names:
        if name not in tables and name not in layers:
            near = nearest_table(name, [*layers, *tables])
            raise UsageError(f"optimize: the lake has no layer or table {name!r}{near or '.'}")
    return [t for t in tables if not names or t in names or t.partition(".")[0] in names]
