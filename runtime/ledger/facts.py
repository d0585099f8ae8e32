"""The facts that the ledger holds, as values and as rows of its table."""

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
BEHIND = "behind"  # in a table's entry of a state: later batches were published by code without the table


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
class Facts:
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

    def as_of(self, batch_id: int) -> Facts:
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


EMPTY = Facts({}, (), {})


def delivery_row(delivery: Delivery) -> dict[str, Any]:
    """A delivery as a ledger row."""
    return {"kind": "delivery", **asdict(delivery)}


def state_row(state: State) -> dict[str, Any]:
    """A state as a ledger row."""
    return {"kind": "state", "batch_id": state.batch_id, "body": json.dumps(asdict(state))}


def state_from_json(body: str) -> State:
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


def contents_of(rows: list[dict[str, Any]]) -> Facts:
    fields = itemgetter(*Delivery.__dataclass_fields__)
    deliveries = {r["delivery"]: Delivery(*fields(r)) for r in rows if r["kind"] == "delivery"}
    # `seen` facts replace signatures: the latest by time wins, rows of one table have no order.
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
