"""Compaction: many small files become few, by new commits, published as one state.

Readers of older batches go on reading the files they read before. The automatic compaction at the end of
a run merges only small files into middling ones, so that its cost follows the new data: however large a
table is, at most MIDDLING bytes of a partition are written again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from runtime.batch import code_version
from runtime.delta import MIDDLING, Heads, size
from runtime.errors import UsageError
from runtime.lease import Owner
from runtime.ledger import State, now
from runtime.profiling import step
from runtime.progress import Progress
from runtime.publishing import publish
from runtime.settings import Settings
from runtime.suggest import nearest_table
from runtime.upkeep.standing import Place, standing


@dataclass(frozen=True)
class Compaction:
    """Files and bytes of each table looked at, before and after. `state`: None when nothing was merged."""

    tables: Mapping[str, tuple[Mapping[str, int], Mapping[str, int]]]
    state: State | None = None


def optimize(place: Place, names: Sequence[str], target_bytes: int | None = None) -> Compaction:
    """Merge the small files of tables, given by table or layer (all by default).

    Raises UsageError for an unknown name, LeaseHeld, Fenced.
    """
    last = place.last_of(place.ledger().contents())
    wanted = _selected([n for n in place.tables if n in last.tables], names)
    with standing(place, "optimize") as held:
        before = {name: held.last.tables[name] for name in wanted}
        target = target_bytes or place.settings.target_file_size
        state = _compacted(held.heads, held.last, wanted, target, place)
        if state is not None:
            held.publish(state)
    after = (state or held.last).tables
    return Compaction({name: (before[name], after[name]) for name in wanted}, state)


@step("merge small files")
def after_run(owner: Owner, heads: Heads, last: State, settings: Settings, progress: Progress) -> None:
    """Merge small files where a run left too many, as the state of `last` says. Usually looks no further."""
    if not settings.compact_after:
        return
    crowded = [n for n in heads.versions if last.tables[n].get("excess", 0) >= settings.compact_after]
    if not crowded:
        return
    place = Place(settings, {}, progress)
    state = _compacted(heads, last, crowded, min(MIDDLING, settings.target_file_size), place)
    if state is not None:
        heads.check()
        publish(owner, heads.store, state)
        names = [n for n in crowded if state.tables[n]["version"] != last.tables[n]["version"]]
        progress.note(f"batch {state.batch_id} (optimize): merged the small files of {', '.join(names)}")


def _compacted(
    heads: Heads, last: State, names: Iterable[str], target_bytes: int, place: Place
) -> State | None:
    """The state to publish after compacting tables; None when none had files to merge."""
    begun = time.monotonic()
    unchanged = {"inserted": 0, "updated": 0, "deleted": 0}
    tables = {name: {**entry, **unchanged} for name, entry in last.tables.items()}
    for name in names:
        if heads.compact(name, target_bytes, place.settings.partitions):
            tables[name] |= {**size(heads[name]), "version": heads.versions[name]}
    if all(tables[n]["version"] == last.tables[n]["version"] for n in tables):
        return None
    return replace(
        State(last.batch_id + 1, "optimize", last.batch_id, now().isoformat(), tables),
        fingerprints=last.fingerprints,
        schemas=last.schemas,
        seconds=round(time.monotonic() - begun, 3),
        code_version=code_version(),
    )


def _selected(tables: Sequence[str], names: Sequence[str]) -> list[str]:
    layers = {name.partition(".")[0] for name in tables}
    for name in names:
        if name not in tables and name not in layers:
            near = nearest_table(name, [*layers, *tables])
            raise UsageError(f"optimize: the lake has no layer or table {name!r}{near or '.'}")
    return [t for t in tables if not names or t in names or t.partition(".")[0] in names]
