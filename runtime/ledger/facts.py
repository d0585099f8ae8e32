"""The facts of the ledger, as values and as rows of its table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from operator import itemgetter
from typing import Any

from runtime.errors import UsageError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEHIND = "behind"  # key of a table's entry in a state: code without the table published batches since


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
    """A published state. `base` is the state that it continues, None for the first.

    - `tables`: version, rows, files, bytes, and the rows inserted, updated and deleted
    - `records`, `judged`: counts of records by outcome, in total and by the table that checked them
    - `deliveries`: deliveries of this batch that are now in the lake in whole
    - `partial`: by delivery in the lake in part, [next byte, next line]
    - `missing`: by delivery with records that bronze lost, [next byte, next line] up to which it has them
    - `reasons`: counts of records in quarantine by reason
    - `lost`: by table, [number, some messages] of records that lost to a record of another owner
    - `left_out`: by source, [number, example] of files with names that are not read
    - `renames`: by source, the mark of the field names of its files, if they are not the default
    - `commits`: by table and version, for each commit since the state published before: the digest of its
      file, then the mark of each data file that it adds
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
        """The time of the publish, UTC."""
        return datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class Facts:
    """All facts of the ledger, as of one of its versions."""

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
        """States by batch id. A state that was published again replaces its earlier version."""
        return {state.batch_id: state for state in self.states}

    @cached_property
    def readable(self) -> tuple[State, ...]:
        """The states that were not vacuumed, ordered by batch id."""
        return tuple(s for n, s in sorted(self.batches.items()) if n not in self.vacuumed)

    @cached_property
    def chain(self) -> tuple[State, ...]:
        """The last state and the states that it continues, oldest first."""
        chain, at = [], self.last
        while at is not None:
            chain.append(at)
            at = None if at.base is None else self.batches[at.base]
        return tuple(reversed(chain))

    @cached_property
    def published(self) -> frozenset[str]:
        """Every table that was ever published."""
        return frozenset(name for state in self.states for name in state.tables)

    def states_of(self, table: str) -> list[State]:
        """The states with a table, since it last came into the lake: from there its versions increase."""
        begin = 0
        for number, state in enumerate(self.states):
            if state.missing or table not in state.tables:
                begin = number if table in state.tables else number + 1
        return list(self.states[begin:])

    @cached_property
    def ingested(self) -> frozenset[int]:
        """Deliveries that are in the lake in whole."""
        taken = set[int]()
        for state in self.chain:
            taken = taken.union(state.deliveries).difference(map(int, state.missing))
        return frozenset(taken)

    @cached_property
    def partial(self) -> Mapping[int, tuple[int, int]]:
        """Deliveries that are in the lake in part, up to (next byte, next line)."""
        ends: dict[int, tuple[int, int]] = {}
        for state in self.chain:
            ends |= {int(d): (p[0], p[1]) for d, p in (*state.partial.items(), *state.missing.items())}
        return {d: p for d, p in ends.items() if d not in self.ingested and p[0]}

    @cached_property
    def renamed(self) -> Mapping[int, str]:
        """By delivery in the lake in whole, the mark of its field names; '' for the default names."""
        source = {n: d.source for n, d in self.deliveries.items()}
        return {d: state.renames.get(source[d], "") for state in self.chain for d in state.deliveries}

    def as_of(self, batch_id: int) -> Facts:
        """The same facts with the state of that batch as the last one."""
        return replace(self, states=(*self.states, self.batches[batch_id]))

    @property
    def next_delivery(self) -> int:
        return max(self.deliveries, default=0) + 1

    @property
    def next_batch_id(self) -> int:
        """The next free batch id. No id is used twice."""
        return max(self.batches, default=0) + 1


EMPTY = Facts({}, (), {})


def delivery_row(delivery: Delivery) -> dict[str, Any]:
    return {"kind": "delivery", **asdict(delivery)}


def state_row(state: State) -> dict[str, Any]:
    return {"kind": "state", "batch_id": state.batch_id, "body": json.dumps(asdict(state))}


def state_from_json(body: str) -> State:
    """A state from its row. Ignores fields of newer code."""
    return State(**{k: v for k, v in json.loads(body).items() if k in State.__dataclass_fields__})


def pin_row(batch_id: int, label: str) -> dict[str, Any]:
    return {"kind": "pin", "batch_id": batch_id, "body": label}


def unpin_row(batch_id: int) -> dict[str, Any]:
    return {"kind": "unpin", "batch_id": batch_id}


def vacuum_row(batches: Sequence[int]) -> dict[str, Any]:
    """The batches that a vacuum makes unreadable, as a ledger row."""
    return {"kind": "vacuum", "body": json.dumps(list(batches))}


def profile_row(batch_id: int, profile: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "profile", "batch_id": batch_id, "body": json.dumps(profile)}


def required(last: State | None, lake: str) -> State:
    """The last published state. Raises UsageError if there is none."""
    if last is None:
        raise UsageError(
            f"{lake} holds no published batch yet. Fill it with: python lakehouse.py run --lake {lake}"
        )
    return last


def now() -> datetime:
    return datetime.now(UTC)


def contents_of(rows: list[dict[str, Any]]) -> Facts:
    fields = itemgetter(*Delivery.__dataclass_fields__)
    deliveries = {r["delivery"]: Delivery(*fields(r)) for r in rows if r["kind"] == "delivery"}
    # `seen` facts replace signatures. The latest `at` wins, because the rows of a table have no order.
    for r in sorted((r for r in rows if r["kind"] == "seen"), key=lambda r: r["at"]):
        old = deliveries[r["delivery"]]
        deliveries[old.delivery] = Delivery(**{**asdict(old), "signature": r["signature"]})
    states = [(r["at"], state_from_json(r["body"])) for r in rows if r["kind"] == "state"]
    states.sort(key=lambda pair: (pair[1].batch_id, pair[0]))
    return Facts(
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
    """Files that could not be read at their last read; a later readable content of the path clears them.

    A row without an error means that the file no longer exists.
    """
    bad = sorted((r for r in rows if r["kind"] == "bad"), key=lambda r: r["at"])
    read_at: dict[tuple[str, str], int] = {}
    for r in rows if bad else ():
        if r["kind"] in ("delivery", "seen"):
            delivery = deliveries[r["delivery"]]
            path = (delivery.source, delivery.path)
            read_at[path] = max(r["at"], read_at.get(path, 0))
    current = {
        (r["source"], r["path"]): (r["signature"], r["error"])
        for r in bad
        if r["at"] >= read_at.get((r["source"], r["path"]), 0)
    }
    return {path: (signature, error) for path, (signature, error) in current.items() if error is not None}
