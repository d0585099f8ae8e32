"""Compaction: merge small files into larger ones by new commits, published as one state.

Readers of older batches keep the files they read. The automatic compaction at the end of a run merges small
files up to MIDDLING bytes only, so that its cost follows the new data: however large a table is, a run
writes at most MIDDLING bytes of a partition again.
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
    """Files and bytes by table, before and after. `state`: None when nothing was merged."""

    tables: Mapping[str, tuple[Mapping[str, int], Mapping[str, int]]]
    state: State | None = None


def optimize(context: LakeContext, names: Sequence[str], target_bytes: int | None = None) -> Compaction:
    """Merge the small files of tables, named by table or layer (by default all).

    Raises UsageError for an unknown name, LeaseHeld, Fenced.
    """
    last = context.last_of(context.ledger().contents())
    selected = _selected([n for n in context.tables if n in last.tables], names)
    with write_session(context, "optimize") as session:
        before = {name: session.last.tables[name] for name in selected}
        target = target_bytes or context.settings.target_file_size
        state = compacted(session.heads, session.last, selected, target, context)
        if state is not None:
            session.publish(state)
    after = (state or session.last).tables
    return Compaction({name: (before[name], after[name]) for name in selected}, state)


def _selected(tables: Sequence[str], names: Sequence[str]) -> list[str]:
    layers = {name.partition(".")[0] for name in tables}
    for name in names:
        if name not in tables and name not in layers:
            near = nearest_table(name, [*layers, *tables])
            raise UsageError(f"optimize: the lake has no layer or table {name!r}{near or '.'}")
    return [t for t in tables if not names or t in names or t.partition(".")[0] in names]
