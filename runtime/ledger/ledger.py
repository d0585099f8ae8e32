"""The ledger: which files are in which batch, and which table versions a batch published.

A Delta table, `_ledger`, written only through delta-rs. One row per fact:

| kind     | columns used                                                          |
|----------|-----------------------------------------------------------------------|
| delivery | delivery, source, path, uri, size, signature, digest                  |
| seen     | delivery, signature: a known content with a new modification time     |
| bad      | source, path, uri, signature, error: a file that could not be read;   |
|          | without an error: the file no longer exists                           |
| state    | batch_id, body: the whole published state, as JSON                    |
| pin      | batch_id, body: the label; no vacuum removes files of the batch       |
| unpin    | batch_id                                                              |
| vacuum   | body: the batches that became unreadable, as JSON                     |
| profile  | batch_id: the last of its run; body: where the time went, as JSON     |

The lease is not a row but metadata of the newest commit, so every commit of the owner renews it, and a commit
of another process makes the owner's next commit fail.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, QueryBuilder, write_deltalake
from deltalake.exceptions import CommitFailedError

from runtime.delta.durability import put_torn_aside
from runtime.delta.store import PROPERTIES, Store, open_table
from runtime.errors import Fenced, StorageError, is_refused
from runtime.ledger.facts import EMPTY, Facts, State, contents_of, now, state_from_json
from runtime.process.profiling import step
from runtime.s3.config import AWS, Access, is_s3
from runtime.s3.failures import explained, map_s3_errors
from runtime.s3.options import storage_options

SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("batch_id", pa.int64()),
        ("delivery", pa.int64()),
        ("source", pa.string()),
        ("path", pa.string()),
        ("uri", pa.string()),
        ("size", pa.int64()),
        ("signature", pa.string()),
        ("digest", pa.string()),
        ("error", pa.string()),
        ("body", pa.string()),
    ]
)
# Timestamps as integers: for timestamps, and in pa.table(), Arrow imports pandas, which takes 0.2 s.
ALL = "* replace (arrow_cast(at, 'Int64') as at)"
COMPACT_AFTER = 10  # live files; a reader needs 2 ms for each, merging them takes 70 ms


class Ledger:
    """A handle on the ledger table. A commit raises Fenced if another handle committed in between."""

    def __init__(self, uri: str, access: Access = AWS) -> None:
        self.uri, self.access = uri, access
        self._table: DeltaTable | None = open_table(uri, access=access)
        self._read: tuple[int, Facts] | None = None  # a version and its facts
        self._unsure = set[str]()  # marks of our commits with unknown outcome

    @classmethod
    def of(cls, store: Store) -> Ledger:
        """The ledger of the lake in this store."""
        return cls(store.uri("_ledger"), store.access)

    @property
    def version(self) -> int:
        """The version that this handle read or wrote last; -1 without a ledger."""
        return -1 if self._table is None else self._table.version()

    @property
    def id(self) -> str:
        """The unique id of this lake; it stays the same when the lake is moved."""
        return str(self._opened.metadata().id)

    def refresh(self) -> None:
        """Read the newest version."""
        self._table = open_table(self.uri, access=self.access)

    def create(self) -> None:
        """Create the table if it is missing. Another process may create it first."""
        if self._table is not None:
            return
        with map_s3_errors(self.uri, self.access):
            try:
                self._table = DeltaTable.create(
                    self.uri,
                    _delta(SCHEMA),
                    mode="ignore",
                    name="_ledger",
                    description="one row per fact about the lake's files and batches",
                    configuration=PROPERTIES,
                    # With retries, a second creation would overwrite the first one and its lease.
                    commit_properties=CommitProperties(max_commit_retries=0),
                    storage_options=storage_options(self.uri, self.access),
                )
            except CommitFailedError as error:
                if refusal := self._refusal(error):
                    raise refusal from error
                self.refresh()

    def lease(self) -> dict[str, Any] | None:
        """The lease in the newest commit's metadata, None if there is none."""
        if self._table is None:
            return None
        stored = self._table.history(1)[0].get("lease")
        return json.loads(stored) if stored else None

    def commits(self, newest: int) -> list[dict[str, Any]]:
        """The newest commits: `version`, `operation`, and `lease` for commits of an owner."""
        return [] if self._table is None else list(self._table.history(newest))

    @step("read the ledger")
    def contents(self) -> Facts:
        """All facts, read in one pass. Returns the same object until facts are added."""
        if self._table is None:
            return EMPTY
        version = self.version  # before the read: our heartbeat may commit meanwhile
        if self._read is None or self._read[0] != version:
            self._read = version, contents_of(self._facts(self._table, "kind <> 'profile'"))
        return self._read[1]

    @step("read the ledger")
    def last(self) -> State | None:
        """The last published state, None before the first. Reads no other facts."""
        if self._table is None:
            return None
        if self._read is not None and self._read[0] == self.version:
            return self._read[1].last
        newest = self._facts(self._table, "kind = 'state' order by batch_id desc, at desc limit 1", "body")
        return state_from_json(newest[0]["body"]) if newest else None

    def profiles(self) -> list[dict[str, Any]]:
        """The stored profiles of runs, oldest first, each with `batch_id`: the last batch of its run."""
        rows = [] if self._table is None else self._facts(self._table, "kind = 'profile'")
        return [
            {"batch_id": r["batch_id"], **json.loads(r["body"])} for r in sorted(rows, key=lambda r: r["at"])
        ]

    def _facts(self, table: DeltaTable, which: str, columns: str = ALL) -> list[dict[str, Any]]:
        facts = f"select {columns} from ledger where {which}"
        try:
            with map_s3_errors(self.uri, self.access):
                query = QueryBuilder().register("ledger", table).execute(facts)
                return list(pa.RecordBatchReader.from_stream(query.read_all()).read_all().to_pylist())
        except Exception:
            if is_s3(self.uri) or not put_torn_aside(self.uri, thorough=True, files=True):
                raise
        self.refresh()
        return [] if self._table is None else self._facts(self._table, which, columns)

    def commit(self, rows: Iterable[Mapping[str, Any]], lease: Mapping[str, Any]) -> None:
        """Append rows under the lease. Raises Fenced if another process committed since."""
        facts, before = _arrow(rows), self.version
        self._fenced(
            lambda properties: write_deltalake(
                self._opened, facts, mode="append", commit_properties=properties
            ),
            lease,
        )
        if self._read and not facts.num_rows and (self._read[0], self.version) == (before, before + 1):
            self._read = self.version, self._read[1]

    def compact(self, lease: Mapping[str, Any]) -> None:
        """Merge the ledger's small files if there are many. Raises Fenced."""
        if len(self._opened.file_uris()) > COMPACT_AFTER:
            # delta-rs rebases a compaction over foreign commits, so an empty commit checks ownership first.
            self.commit([], lease)
            self._fenced(
                lambda properties: self._opened.optimize.compact(commit_properties=properties),
                lease,
            )
            self._opened.create_checkpoint()

    @property
    def _opened(self) -> DeltaTable:
        if self._table is None:
            raise Fenced(f"{self.uri} is gone; nothing was published.")
        return self._table

    def _fenced(self, write: Any, lease: Mapping[str, Any]) -> None:
        mark = uuid.uuid4().hex
        metadata = {"lease": json.dumps(lease), "mark": mark}
        properties = CommitProperties(custom_metadata=metadata, max_commit_retries=0)
        try:
            write(properties)
        except CommitFailedError as error:
            if is_refused(error):
                raise
            if refusal := self._refusal(error):
                self._unsure.add(mark)
                raise refusal from error
            if not self._came_through({mark}):
                self._again(write, lease, error)
        except Exception as error:
            self._unsure.add(mark)
            if refusal := self._refusal(error):
                raise refusal from error
            raise
        self._unsure.clear()

    def _again(self, write: Any, lease: Mapping[str, Any], error: CommitFailedError) -> None:
        """Commit again if the conflicting commit is our own, whose answer was lost. Raises Fenced."""
        if not self._came_through(self._unsure):
            raise self._taken() from error
        self._unsure.clear()
        self._fenced(write, lease)

    def _refusal(self, error: Exception) -> StorageError | None:
        return explained(error, self.uri, self.access) if is_s3(self.uri) else None

    def _came_through(self, marks: Collection[str]) -> bool:
        """Whether the next commit carries one of these marks: it is our own, only its answer was lost."""
        newest = open_table(self.uri, access=self.access) if marks else None
        if newest is None or newest.version() != self.version + 1:
            return False
        if newest.history(1)[0].get("mark") not in marks:
            return False
        self._table = newest
        return True

    def _taken(self) -> Fenced:
        return Fenced(
            f"another process took over the lease of {self.uri} while this run was working "
            "(was it paused, or its clock far off?). This run published nothing more; run again."
        )


def _arrow(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    at = now()
    return pa.Table.from_pylist([{"at": at, **row} for row in rows], schema=SCHEMA)


def _delta(schema: pa.Schema) -> Any:
    from deltalake import Schema

    return Schema.from_arrow(schema)
