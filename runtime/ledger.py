"""The ledger: which files are in which batch, and which table versions a batch published.

A Delta table, `_ledger`, written only through delta-rs. One row per fact:

| kind     | columns used                                                          |
|----------|-----------------------------------------------------------------------|
| delivery | delivery, source, path, uri, size, signature, digest                  |
| seen     | delivery, signature: a known content under a new modification time    |
| bad      | source, path, uri, signature, error: a file that could not be read;   |
|          | without an error: it went away                                        |
| state    | batch_id, body: everything a publish says, as JSON                    |
| pin      | batch_id, body: the label; the batch is spared by every vacuum        |
| unpin    | batch_id                                                              |
| vacuum   | body: the batches that became unreadable, as JSON                     |
| profile  | batch_id: the last of its run; body: where the time went, as JSON     |

The lease is not a row but the metadata of the newest commit, so that every commit of the owner renews
it, and a commit by anyone else makes the owner's next one fail.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from operator import itemgetter
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, QueryBuilder, write_deltalake
from deltalake.exceptions import CommitFailedError

from runtime.delta import PROPERTIES, Store, open_table
from runtime.durability import put_torn_aside
from runtime.errors import Fenced, StorageError, UsageError, is_refused
from runtime.profiling import step
from runtime.s3.access import AWS, Access, is_s3
from runtime.s3.failures import explained, told
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
# Instants as numbers: for instants, as for pa.table(), Arrow imports pandas, which takes 0.2 s.
ALL = "* replace (arrow_cast(at, 'Int64') as at)"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEHIND = "behind"  # in a table's entry of a state: later batches were published by code without the table
COMPACT_AFTER = 10  # live files: each costs a reader 2 ms, and merging them 70 ms


@dataclass(frozen=True)
class Delivery:
    """One content version of one file, numbered in the order first listed."""

    delivery: int
    source: str
    path: str
    uri: str
    size: int
    signature: str
    digest: str


@dataclass(frozen=True)
class State:
    """What one publish says. `base` is the state it continues, None for the first.

    `tables` gives version, rows, files, bytes and the rows inserted, updated and deleted; `deliveries`
    are those taken in whole by this batch, `partial` maps a delivery to [next byte, next line]. `commits`
    gives, by table and version, for each commit since the state published before: a digest of its file,
    then a mark of each data file it adds. `missing` maps deliveries whose records bronze no longer holds
    to the [next byte, next line] up to which it does. `judged` splits `records` by the table that judged
    them, and `left_out` gives by source [number, example] of files that the run found and that have other
    names; `renames` marks by source the names of fields that its files were taken in under, if not our own;
    `lost` gives by table [number, some of them in words] of the records that lost to another owner's.
    """

    batch_id: int
    kind: str
    base: int | None
    at: str
    tables: Mapping[str, Mapping[str, int]]
    files: Mapping[str, int] = field(default_factory=dict)
    records: Mapping[str, int] = field(default_factory=dict)
    judged: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    left_out: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    deliveries: Sequence[int] = ()
    partial: Mapping[str, Sequence[int]] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    schemas: Mapping[str, str] = field(default_factory=dict)
    commits: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    missing: Mapping[str, Sequence[int]] = field(default_factory=dict)
    seconds: float = 0.0
    engine: str = ""
    code_version: str = ""

    @property
    def published_at(self) -> datetime:
        """When it became visible, UTC."""
        return datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class Contents:
    """Everything the ledger says, as of one of its versions."""

    deliveries: Mapping[int, Delivery]
    states: Sequence[State]
    bad: Mapping[tuple[str, str], tuple[str, str]]  # (source, path) -> (signature, error)
    pins: Mapping[int, str] = field(default_factory=dict)  # batch -> label
    vacuumed: Mapping[int, datetime] = field(default_factory=dict)  # batch -> when

    @property
    def last(self) -> State | None:
        """The last published state, None before the first."""
        return self.states[-1] if self.states else None

    @cached_property
    def batches(self) -> Mapping[int, State]:
        """States by batch id; a rolled-back state's newer versions replace its older ones."""
        return {state.batch_id: state for state in self.states}

    @cached_property
    def readable(self) -> tuple[State, ...]:
        """The states whose files are there, by batch id."""
        return tuple(s for n, s in sorted(self.batches.items()) if n not in self.vacuumed)

    @cached_property
    def chain(self) -> tuple[State, ...]:
        """The states the last one stands on, oldest first, itself included."""
        chain, at = [], self.last
        while at is not None:
            chain.append(at)
            at = None if at.base is None else self.batches[at.base]
        return tuple(reversed(chain))

    @cached_property
    def published(self) -> frozenset[str]:
        """Every table that any state names, also those the last one no longer does."""
        return frozenset(name for state in self.states for name in state.tables)

    def states_of(self, table: str) -> list[State]:
        """The states that hold a table, since it last came into the lake: versions may begin again then."""
        begin = 0
        for number, state in enumerate(self.states):
            if state.missing or table not in state.tables:
                begin = number if table in state.tables else number + 1
        return list(self.states[begin:])

    @cached_property
    def ingested(self) -> frozenset[int]:
        """Deliveries that are in the lake whole."""
        taken = set[int]()
        for state in self.chain:
            taken = taken.union(state.deliveries).difference(map(int, state.missing))
        return frozenset(taken)

    @cached_property
    def partial(self) -> Mapping[int, tuple[int, int]]:
        """Deliveries taken in up to (next byte, next line)."""
        found: dict[int, tuple[int, int]] = {}
        for state in self.chain:
            found |= {int(d): (p[0], p[1]) for d, p in (*state.partial.items(), *state.missing.items())}
        return {d: p for d, p in found.items() if d not in self.ingested and p[0]}

    @cached_property
    def renamed(self) -> Mapping[int, str]:
        """By delivery taken in whole, the mark of the names of fields it was taken in under; '' for ours."""
        source = {n: d.source for n, d in self.deliveries.items()}
        return {d: state.renames.get(source[d], "") for state in self.chain for d in state.deliveries}

    def as_of(self, batch_id: int) -> Contents:
        """The same facts, as if the state of that batch were the last one."""
        return replace(self, states=(*self.states, self.batches[batch_id]))

    @property
    def next_delivery(self) -> int:
        """The next free delivery number."""
        return max(self.deliveries, default=0) + 1

    @property
    def next_batch_id(self) -> int:
        """The next free batch id; ids are never used twice."""
        return max(self.batches, default=0) + 1


EMPTY = Contents({}, (), {})


class Ledger:
    """One handle on the ledger table. Only the handle that made the newest commit can commit again."""

    def __init__(self, uri: str, access: Access = AWS) -> None:
        self.uri, self.access = uri, access
        self._table: DeltaTable | None = open_table(uri, access=access)
        self._read: tuple[int, Contents] | None = None  # what a version of it holds
        self._unsure = set[str]()  # marks of commits of ours that may or may not have come through

    @classmethod
    def of(cls, store: Store) -> Ledger:
        """The ledger of the lake whose tables are there."""
        return cls(store.uri("_ledger"), store.access)

    @property
    def version(self) -> int:
        """The version this handle has read or written last; -1 where there is no ledger."""
        return -1 if self._table is None else self._table.version()

    @property
    def id(self) -> str:
        """What tells this lake from any other, wherever it is moved to."""
        return str(self._opened.metadata().id)

    def refresh(self) -> None:
        """Read the newest version."""
        self._table = open_table(self.uri, access=self.access)

    def create(self) -> None:
        """Make the table if it is missing; another process may do so first."""
        if self._table is not None:
            return
        with told(self.uri, self.access):
            try:
                self._table = DeltaTable.create(
                    self.uri,
                    _delta(SCHEMA),
                    mode="ignore",
                    name="_ledger",
                    description="one row per fact about the lake's files and batches",
                    configuration=PROPERTIES,
                    # With retries a second creation would land on top of the first, and of its lease.
                    commit_properties=CommitProperties(max_commit_retries=0),
                    storage_options=storage_options(self.uri, self.access),
                )
            except CommitFailedError as error:
                if refusal := self._refusal(error):
                    raise refusal from error
                self.refresh()

    def lease(self) -> dict[str, Any] | None:
        """The lease in the newest commit's metadata, None if it says none."""
        if self._table is None:
            return None
        stored = self._table.history(1)[0].get("lease")
        return json.loads(stored) if stored else None

    def commits(self, newest: int) -> list[dict[str, Any]]:
        """The newest commits: `version`, `operation`, and `lease` where an owner made them."""
        return [] if self._table is None else list(self._table.history(newest))

    @step("read the ledger")
    def contents(self) -> Contents:
        """All facts, read in one pass; the same object as long as nobody adds any."""
        if self._table is None:
            return EMPTY
        version = self.version  # first: a heartbeat of ours may come in between
        if self._read is None or self._read[0] != version:
            self._read = version, _contents(self._facts(self._table, "kind <> 'profile'"))
        return self._read[1]

    @step("read the ledger")
    def last(self) -> State | None:
        """The last published state, None before the first, without the facts before it."""
        if self._table is None:
            return None
        if self._read is not None and self._read[0] == self.version:
            return self._read[1].last
        newest = self._facts(self._table, "kind = 'state' order by batch_id desc, at desc limit 1", "body")
        return _state(newest[0]["body"]) if newest else None

    def profiles(self) -> list[dict[str, Any]]:
        """The profiles that runs kept, oldest first: `batch_id` of the run's last batch, then as taken."""
        kept = [] if self._table is None else self._facts(self._table, "kind = 'profile'")
        return [
            {"batch_id": r["batch_id"], **json.loads(r["body"])} for r in sorted(kept, key=lambda r: r["at"])
        ]

    def _facts(self, table: DeltaTable, which: str, columns: str = ALL) -> list[dict[str, Any]]:
        facts = f"select {columns} from ledger where {which}"
        try:
            with told(self.uri, self.access):
                query = QueryBuilder().register("ledger", table).execute(facts)
                return list(pa.RecordBatchReader.from_stream(query.read_all()).read_all().to_pylist())
        except Exception:
            if is_s3(self.uri) or not put_torn_aside(self.uri, thorough=True, files=True):
                raise
        self.refresh()
        return [] if self._table is None else self._facts(self._table, which, columns)

    def commit(self, rows: Iterable[Mapping[str, Any]], lease: Mapping[str, Any]) -> None:
        """Append rows under the lease. Raises Fenced when anyone committed since our last commit."""
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
        """Merge the ledger's own small files once there are many. Raises Fenced as `commit` does."""
        if len(self._opened.file_uris()) > COMPACT_AFTER:
            # delta-rs rebases a compaction over the commits of others, so being the owner is shown first.
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
        said = {"lease": json.dumps(lease), "mark": mark}
        properties = CommitProperties(custom_metadata=said, max_commit_retries=0)
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
        """Commit once more if what stands in the way is a commit of ours whose answer was lost."""
        if not self._came_through(self._unsure):
            raise self._taken() from error
        self._unsure.clear()
        self._fenced(write, lease)

    def _refusal(self, error: Exception) -> StorageError | None:
        return explained(error, self.uri, self.access) if is_s3(self.uri) else None

    def _came_through(self, marks: Collection[str]) -> bool:
        """Whether the commit after ours is our own, of one of these marks: only its answer was lost."""
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


def delivery_row(delivery: Delivery) -> dict[str, Any]:
    """A delivery as a ledger row."""
    return {"kind": "delivery", **asdict(delivery)}


def state_row(state: State) -> dict[str, Any]:
    """A state as a ledger row."""
    return {"kind": "state", "batch_id": state.batch_id, "body": json.dumps(asdict(state))}


def _state(body: str) -> State:
    """A state from its row; what only newer code knows of it is left out."""
    return State(**{k: v for k, v in json.loads(body).items() if k in State.__dataclass_fields__})


def pin_row(batch_id: int, label: str) -> dict[str, Any]:
    """A pin as a ledger row."""
    return {"kind": "pin", "batch_id": batch_id, "body": label}


def unpin_row(batch_id: int) -> dict[str, Any]:
    """The end of a pin as a ledger row."""
    return {"kind": "unpin", "batch_id": batch_id}


def vacuum_row(batches: Sequence[int]) -> dict[str, Any]:
    """What a vacuum makes unreadable, as a ledger row."""
    return {"kind": "vacuum", "body": json.dumps(list(batches))}


def profile_row(batch_id: int, profile: Mapping[str, Any]) -> dict[str, Any]:
    """Where the time of a run went, as a ledger row."""
    return {"kind": "profile", "batch_id": batch_id, "body": json.dumps(profile)}


def required(last: State | None, lake: str) -> State:
    """The last published state. Raises UsageError for a lake that has none."""
    if last is None:
        raise UsageError(
            f"{lake} holds no published batch yet. Fill it with: python lakehouse.py run --lake {lake}"
        )
    return last


def now() -> datetime:
    """The time on this machine, UTC."""
    return datetime.now(UTC)


def _arrow(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    at = now()
    return pa.Table.from_pylist([{"at": at, **row} for row in rows], schema=SCHEMA)


def _delta(schema: pa.Schema) -> Any:
    from deltalake import Schema

    return Schema.from_arrow(schema)


def _contents(rows: list[dict[str, Any]]) -> Contents:
    fields = itemgetter(*Delivery.__dataclass_fields__)
    deliveries = {r["delivery"]: Delivery(*fields(r)) for r in rows if r["kind"] == "delivery"}
    # `seen` facts replace signatures: the latest by time wins, rows of one table have no order.
    for r in sorted((r for r in rows if r["kind"] == "seen"), key=lambda r: r["at"]):
        old = deliveries[r["delivery"]]
        deliveries[old.delivery] = Delivery(**{**asdict(old), "signature": r["signature"]})
    states = [(r["at"], _state(r["body"])) for r in rows if r["kind"] == "state"]
    states.sort(key=lambda pair: (pair[1].batch_id, pair[0]))
    return Contents(
        deliveries,
        tuple(state for _, state in states),
        _bad(rows, deliveries),
        _pins(rows),
        _vacuumed(rows),
    )


def _pins(rows: list[dict[str, Any]]) -> dict[int, str]:
    pins: dict[int, str] = {}
    for r in sorted((r for r in rows if r["kind"] in ("pin", "unpin")), key=lambda r: r["at"]):
        pins.pop(r["batch_id"], None)
        if r["kind"] == "pin":
            pins[r["batch_id"]] = r["body"]
    return pins


def _vacuumed(rows: list[dict[str, Any]]) -> dict[int, datetime]:
    facts = [(r["at"], json.loads(r["body"])) for r in rows if r["kind"] == "vacuum"]
    return {batch: EPOCH + timedelta(microseconds=at) for at, batches in sorted(facts) for batch in batches}


def _bad(
    rows: list[dict[str, Any]], deliveries: Mapping[int, Delivery]
) -> dict[tuple[str, str], tuple[str, str]]:
    """Files that could not be read when last looked at: a later content of the path mends them.

    A row without an error says that the file went away.
    """
    bad = sorted((r for r in rows if r["kind"] == "bad"), key=lambda r: r["at"])
    read_at: dict[tuple[str, str], int] = {}
    for r in rows if bad else ():
        if r["kind"] in ("delivery", "seen"):
            delivery = deliveries[r["delivery"]]
            path = (delivery.source, delivery.path)
            read_at[path] = max(r["at"], read_at.get(path, 0))
    found = {
        (r["source"], r["path"]): (r["signature"], r["error"])
        for r in bad
        if r["at"] >= read_at.get((r["source"], r["path"]), 0)
    }
    return {path: (signature, error) for path, (signature, error) in found.items() if error is not None}
