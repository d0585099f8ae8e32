"""The expected version of each table of a lake; another writer's commit raises Fenced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError

from runtime.delta.commit_log import Log, adds
from runtime.delta.store import Store, file_list
from runtime.errors import Fenced, is_refused
from runtime.process.profiling import step
from runtime.table import Table


def commit_metrics(table: DeltaTable) -> Mapping[str, int]:
    """Row counts of the newest commit: `inserted`, `updated`, `deleted`."""
    metrics: dict[str, Any] = table.history(1)[0].get("operationMetrics", {})
    if isinstance(metrics, str):
        metrics = json.loads(metrics)
    inserted = metrics.get("numTargetRowsInserted", metrics.get("numOutputRows", 0))
    return {
        "inserted": int(inserted),
        "updated": int(metrics.get("numTargetRowsUpdated", 0)),
        "deleted": int(metrics.get("numTargetRowsDeleted", 0)),
    }


class TableVersions:
    """The expected version of each table. Methods raise Fenced if another writer committed."""

    def __init__(self, store: Store, tables: Iterable[Table], opened: Mapping[str, DeltaTable]) -> None:
        """Create those of `tables` that are not in `opened`."""
        self.store = store
        self._tables: dict[str, DeltaTable] = {}
        self._expected: dict[str, int] = {}
        for table in tables:
            self._adopt(table.name, opened.get(table.name) or store.create(table))

    def _adopt(self, name: str, opened: DeltaTable) -> None:
        self._tables[name] = opened
        self._expected[name] = opened.version()

    @property
    def versions(self) -> dict[str, int]:
        return dict(self._expected)

    def __getitem__(self, name: str) -> DeltaTable:
        return self._tables[name]

    def recreate(self, table: Table) -> None:
        """Empty a table and give it the declared schema, as one new version. Raises Fenced."""
        expected = self._expected[table.name] + 1
        self._adopt(table.name, self.store.create(table))
        if self._expected[table.name] != expected:
            raise self._foreign(table.name, expected)

    def restore(self, name: str, version: int) -> None:
        """Restore a table to a version by one new version. Raises Fenced.

        Does nothing if the table is at that version.
        """
        if version != self._expected[name]:
            table = self._tables[name]
            self._commit(name, lambda guard: table.restore(version, commit_properties=guard))

    def compact(self, name: str, target_bytes: int, tasks: int | None) -> bool:
        """Merge files of each partition up to a size. Returns if there were any. Raises Fenced."""
        optimizer, before = self._tables[name].optimize, self._expected[name]
        self._commit(
            name,
            lambda guard: optimizer.compact(
                target_size=target_bytes, max_concurrent_tasks=tasks, commit_properties=guard
            ),
        )
        return self._expected[name] > before

    def _commit(self, name: str, write: Callable[[CommitProperties], object]) -> None:
        """Run an operation of delta-rs that commits once or not at all. Raises Fenced."""
        try:
            write(CommitProperties(max_commit_retries=0))
        except CommitFailedError as conflict:
            if is_refused(conflict):
                raise
            self._tables[name].update_incremental()
            raise self._foreign(name) from conflict
        self.wrote(name, may_be_nothing=True)

    @step("read the commit")
    def wrote(self, name: str, *, may_be_nothing: bool = False) -> Mapping[str, int]:
        """Row counts of the commit our engine just made. Raises Fenced if another writer committed."""
        table, expected = self._tables[name], self._expected[name]
        table.update_incremental()
        if may_be_nothing and table.version() == expected:
            return {"inserted": 0, "updated": 0, "deleted": 0}
        self._require(name, expected + 1)
        self._expected[name] = expected + 1
        return commit_metrics(table)

    @step("check versions")
    def check(self, unsure: str | None = None, engine: str = "") -> None:
        """Raise Fenced if a table is not at its expected version.

        `unsure`: a table for which `engine` failed during a write, maybe after its commit.
        """
        for name, expected in self._expected.items():
            self._tables[name].update_incremental()
            if name != unsure or not self._is_next_commit_of(engine, name):
                self._require(name, expected)

    def _is_next_commit_of(self, engine: str, name: str) -> bool:
        if self._tables[name].version() != self._expected[name] + 1:
            return False
        return engine in str(self._tables[name].history(1)[0].get("engineInfo", "")).lower()

    def _require(self, name: str, version: int) -> None:
        if self._tables[name].version() != version:
            raise self._foreign(name, version)

    def _foreign(self, name: str, wanted: int | None = None) -> Fenced:
        expected = self._expected[name] if wanted is None else wanted
        return Fenced(
            f"{self.store.uri(name)} is at version {self._tables[name].version()} where this run expected "
            f"{expected}: someone else wrote to it while the run held the lease. Nothing was published; "
            "find the other writer, then run again: the next run rolls back."
        )

    def added(self, name: str) -> Mapping[str, int]:
        """`files` and `bytes` that the newest commit added."""
        sizes = [add["size"] for add in self.adds(name)]
        return {"files": len(sizes), "bytes": sum(sizes)}

    def adds(self, name: str) -> list[Mapping[str, Any]]:
        """The `add` actions of the newest commit."""
        return adds(Log(self.store.uri(name), self.store.access).read(self._expected[name]) or b"")

    def is_empty(self, name: str, values: Mapping[str, Iterable[object]] | None = None) -> bool:
        """Whether the table has no rows, or no files of these partition values."""
        files = file_list(self._tables[name])
        if not values:
            return not any(files["num_records"])
        keys = zip(*(map(str, files[f"partition.{c}"]) for c in values), strict=True)
        allowed = [set(map(str, v)) for v in values.values()]
        return not any(all(k in a for k, a in zip(key, allowed, strict=True)) for key in keys)
