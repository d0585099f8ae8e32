"""The result of a trace: as values, as a tree of text, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from runtime.text.values import as_text, visible

WINNER, DUPLICATE, SUPERSEDED, QUARANTINED = "winner", "duplicate", "superseded", "quarantined"
DELIVERED = "delivered"


@dataclass(frozen=True)
class Record:
    """A delivered record: its file and line, its text, and its outcome.

    `outcome` is winner (the row is made from it), duplicate (its content is the winner's), superseded (a
    record delivered later has other content; `reasons` say if this one is another owner's), quarantined
    (`reasons` name the broken rules) or delivered (a row of bronze).
    """

    table: str
    file: str
    line: int
    delivery: int
    batch_id: int
    outcome: str
    raw: str
    reasons: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """All fields, `reasons` as a list."""
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "reasons": [*self.reasons],
        }

    def lines(self) -> Iterator[str]:
        """File, line and outcome, then the raw text."""
        reasons = f": {', '.join(self.reasons)}" if self.reasons else ""
        where = f"{self.file} line {self.line}"
        yield f"{self.outcome}{reasons} · {where} · delivery {self.delivery}, batch {self.batch_id}"
        yield self.raw


@dataclass(frozen=True)
class Found:
    """A row of the tree: its relation to the row above it, and what it was made from."""

    relation: str
    table: str
    key: str
    row: Mapping[str, Any]
    note: str = ""
    sources: tuple[Found | Record, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """`relation`, `table`, `key`, `row`, `note` if not empty, `sources`."""
        node: dict[str, Any] = {"relation": self.relation, "table": self.table, "key": self.key}
        if self.note:
            node["note"] = self.note
        return {**node, "row": dict(self.row), "sources": [s.as_dict() for s in self.sources]}

    def lines(self) -> Iterator[str]:
        """Relation, table and key, then the values."""
        key, note = f" {self.key}" if self.key else "", f" · {self.note}" if self.note else ""
        yield f"{self.relation}: {self.table}{key}{note}"
        yield ", ".join(f"{name} {_text(value)}" for name, value in self.row.items())

    def records(self) -> Iterator[Record]:
        """Every record below this row."""
        for source in self.sources:
            if isinstance(source, Record):
                yield source
            else:
                yield from source.records()


@dataclass(frozen=True)
class Trace:
    """A row as of a batch; the tree below `row` holds everything it was made from."""

    batch_id: int
    row: Found

    @property
    def records(self) -> tuple[Record, ...]:
        """Every record, in the order of the tree."""
        return tuple(self.row.records())

    def as_dict(self) -> dict[str, Any]:
        """`batch_id`, then the keys of `Found.as_dict`."""
        return {"batch_id": self.batch_id, **self.row.as_dict()}

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """The tree as text, safe for a terminal."""
        first, *rest = self.row.lines()
        yield visible(f"{first.partition(': ')[2]} as of batch {self.batch_id}")
        yield from (visible(f"  {line}") for line in rest)
        yield from _branches(self.row.sources, "")

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def _branches(sources: tuple[Found | Record, ...], margin: str) -> Iterator[str]:
    for i, source in enumerate(sources):
        is_last = i == len(sources) - 1
        first, *rest = source.lines()
        yield visible(f"{margin}{'└─ ' if is_last else '├─ '}{first}")
        inner = margin + ("   " if is_last else "│  ")
        yield from (visible(f"{inner}{line}") for line in rest)
        if isinstance(source, Found):
            yield from _branches(source.sources, inner)


def _text(value: object) -> str:
    return "NULL" if (text := as_text(value)) is None else text
