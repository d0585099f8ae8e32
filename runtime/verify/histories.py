"""Check that each table's log is unchanged since its states were published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from runtime.delta.commit_log import Log, actions, added, digest_of
from runtime.delta.store import Store, file_list
from runtime.ledger.facts import Facts
from runtime.verify.verdict import Check, first_line, judged

VECTOR = ("storageType", "pathOrInlineDv", "offset")
MEASURES = ("rows", "files", "bytes")
LOG_FIX = "Put the table's _delta_log back from a backup."
HEAD_FIX = "Put it back with: python lakehouse.py optimize (the next run does so, too)"


@dataclass
class History:
    """One table's log, read commit by commit."""

    digests: dict[int, str] = field(default_factory=dict)
    sizes: dict[int, Mapping[str, int]] = field(default_factory=dict)
    added: dict[int, list[str]] = field(default_factory=dict)
    # path in the log and id of a deletion vector -> bytes, rows
    live: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    broken: str | None = None  # why later commits cannot be applied

    def follow(self, log: Log, upto: int) -> None:
        """Read the commits up to and including a version."""
        for version in range(upto + 1):
            body = log.read(version)
            if body is None:
                self.broken = self.broken or f"its commit file {version:020}.json is gone"
                continue
            self.digests[version] = digest_of(body)
            with suppress(ValueError, KeyError):
                self.added[version] = added(body)
            if self.broken is None:
                self._apply(version, body)

    def _apply(self, version: int, body: bytes) -> None:
        try:
            for action in actions(body):
                self._act(action)
        except (ValueError, KeyError, TypeError) as damage:
            self.broken = f"its commit file {version:020}.json cannot be read: {first_line(damage)}"
        else:
            sizes = self.live.values()
            self.sizes[version] = {
                "rows": sum(rows for _, rows in sizes),
                "files": len(sizes),
                "bytes": sum(size for size, _ in sizes),
            }

    def _act(self, action: Mapping[str, Mapping[str, object]]) -> None:
        if add := action.get("add"):
            stats = json.loads(str(add["stats"]))
            self.live[_identity(add)] = int(str(add["size"])), int(stats["numRecords"])
        elif gone := action.get("remove"):
            self.live.pop(_identity(gone), None)


def _identity(action: Mapping[str, Any]) -> tuple[str, str]:
    """The identity of a live file: a commit may remove a path and add it with a deletion vector."""
    vector = action.get("deletionVector") or {}
    return str(action["path"]), "@".join(str(vector.get(name, "")) for name in VECTOR)


def check_history(
    store: Store, name: str, known: Facts, *, is_busy: Callable[[], bool]
) -> tuple[list[Check], Mapping[str, str]]:
    """The checks `commits`, `versions` and `head` of a table of the last state.

    Also the marks of its data files, noted when they were published, by path in the log.
    """
    assert known.last is not None
    log, published = Log(store.uri(name), store.access), known.last.tables[name]["version"]
    try:
        in_log = log.versions()
        history = History()
        history.follow(log, max(_versions(known, name)))
    except Exception as damage:
        message = f"{log.uri}: its log cannot be read: {first_line(damage)}. {LOG_FIX}"
        return [Check("commits", name, False, message)], {}
    beyond = [beyond for beyond in _beyond(in_log, published) if not is_busy()]
    wrong = [*([history.broken] if history.broken else []), *_edited(known, name, history.digests)]
    noted = sum(len(state.commits.get(name, ())) for state in known.states_of(name))
    fine = f"commit files: {len(history.digests):,}, as they were when published: {noted:,}"
    checks = [
        judged("commits", name, wrong, fine=fine, fix=LOG_FIX),
        judged(
            "versions",
            name,
            [*_sizes(known, name, history), *_opened(store, name, published, history)],
            fine=f"version {published}, rows and files as published",
            fix=f"The ledger or the table's log was changed. {LOG_FIX}",
        ),
        judged(
            "head",
            name,
            beyond,
            fine="nothing beyond" if not in_log or in_log[-1] <= published else "beyond it a run is at work",
            fix=HEAD_FIX,
        ),
    ]
    return checks, _marks(known, name, history)


def _marks(known: Facts, name: str, history: History) -> dict[str, str]:
    """The mark of each data file, noted when it was published, by path in the log."""
    marks: dict[str, str] = {}
    for state in known.states_of(name):
        for version, (digest, *noted) in state.commits.get(name, {}).items():
            if history.digests.get(int(version)) == digest:
                marks |= zip(history.added[int(version)], noted, strict=True)
    return marks


def _versions(known: Facts, name: str) -> set[int]:
    return {state.tables[name]["version"] for state in known.states_of(name)}


def _edited(known: Facts, name: str, digests: Mapping[int, str]) -> Iterator[str]:
    for state in known.states_of(name):
        for version, (digest, *_) in state.commits.get(name, {}).items():
            if digests.get(int(version), digest) != digest:
                yield f"its commit file {int(version):020}.json is not as batch {state.batch_id} published it"


def _sizes(known: Facts, name: str, history: History) -> Iterator[str]:
    """Where the ledger and the log differ about a table's rows, files or bytes."""
    for state in known.states_of(name):
        entry = state.tables.get(name)
        if entry is None or entry["version"] not in history.sizes:
            continue
        real = history.sizes[entry["version"]]
        for measure in MEASURES:
            if entry[measure] != real[measure]:
                yield (
                    f"batch {state.batch_id} says {entry[measure]:,} {measure} at version "
                    f"{entry['version']}, its log says {real[measure]:,}"
                )


def _opened(store: Store, name: str, published: int, history: History) -> Iterator[str]:
    """Where a Delta reader, which uses checkpoints, reads other files than the commits name."""
    try:
        table = store.open(name, published)
    except Exception as damage:
        yield f"version {published} cannot be opened: {first_line(damage)}"
        return
    if table is None:
        yield f"{store.uri(name)} holds no table"
    elif history.broken is None and not _same(file_list(table)["path"], history, published):
        yield f"version {published} reads other files than its commit files name: its checkpoint is damaged"


def _same(paths: Iterable[str], history: History, published: int) -> bool:
    return published != max(history.sizes) or set(paths) == {path for path, _ in history.live}


def _beyond(versions: Iterable[int], published: int) -> Iterator[str]:
    if beyond := [version for version in versions if version > published]:
        yield f"it has {len(beyond)} commits after the published version {published}, and no run is at work"
