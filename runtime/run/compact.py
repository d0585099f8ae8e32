"""Merge small files at the end of a run, as one more published state."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from runtime.delta.store import MIDDLING, size
from runtime.delta.versions import TableVersions
from runtime.ledger.facts import State, now
from runtime.ledger.lease import Owner
from runtime.ledger.progress import Progress
from runtime.ledger.publish import publish
from runtime.ledger.session import LakeContext
from runtime.process.profiling import step
from runtime.process.version import code_version
from runtime.settings.load import Settings


@step("merge small files")
def after_run(
    owner: Owner, heads: TableVersions, last: State, settings: Settings, progress: Progress
) -> None:
    """Merge the small files of tables with too many of them, by the counts in `last`. Publishes a state."""
    if not settings.compact_after:
        return
    crowded = [n for n in heads.versions if last.tables[n].get("excess", 0) >= settings.compact_after]
    if not crowded:
        return
    context = LakeContext(settings, {}, progress)
    state = compacted(heads, last, crowded, min(MIDDLING, settings.target_file_size), context)
    if state is not None:
        heads.check()
        publish(owner, heads.store, state)
        names = [n for n in crowded if state.tables[n]["version"] != last.tables[n]["version"]]
        progress.note(f"batch {state.batch_id} (optimize): merged the small files of {', '.join(names)}")


def compacted(
    heads: TableVersions, last: State, names: Iterable[str], target_bytes: int, context: LakeContext
) -> State | None:
    """Compact tables. Returns the state to publish, None when no table had files to merge."""
    begun = time.monotonic()
    unchanged = {"inserted": 0, "updated": 0, "deleted": 0}
    tables = {name: {**entry, **unchanged} for name, entry in last.tables.items()}
    for name in names:
        if heads.compact(name, target_bytes, context.settings.partitions):
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
