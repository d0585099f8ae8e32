"""The star schema as PostgreSQL declares it, derived from the declared tables.

A column named like the key of another table of the star refers to that table. Rows are written in the order
of these references, referenced tables first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter

from runtime.read.sql import quoted, text_literal
from runtime.table import Merge, Table
from runtime.table.schema import Column

TYPES = {
    "string": "text",
    "int": "integer",
    "double": "double precision",
    "timestamp": "timestamp with time zone",
}
RECORD = "_lakehouse"
RECORD_COLUMNS = {
    "lake_id": "text primary key",
    "lake": "text not null",
    "batch_id": "bigint not null",
    "published_at": "text not null",
    "versions": "text not null",
    "shape": "text not null",
    "exported_at": "timestamp with time zone not null default now()",
}
RECORD_MEANS = "which batch of which lake the tables of this schema hold"


class Star:
    """The tables of a star schema, each before the tables that refer to it."""

    def __init__(self, tables: Sequence[Table], schema: str) -> None:
        self.schema = schema
        keys = {key_of(t)[0]: t for t in tables if len(key_of(t)) == 1}
        self.references: Mapping[str, Mapping[str, Table]] = {
            t.name: {c.name: keys[c.name] for c in columns_of(t) if keys.get(c.name, t) is not t}
            for t in tables
        }
        by_name = {t.name: t for t in tables}
        graph = {name: [to.name for to in parents.values()] for name, parents in self.references.items()}
        self.tables = tuple(by_name[name] for name in TopologicalSorter(graph).static_order())

    @property
    def shape(self) -> str:
        """A digest of all declarations: tables with another digest are created again."""
        statements = [s for t in self.tables for s in (self.create(t), *self.keys(t), *self.comments(t))]
        return hashlib.sha256("\n".join(statements).encode()).hexdigest()[:16]

    def name(self, table: Table) -> str:
        """The quoted name: `"sparkify"."users"`."""
        return f"{quoted(self.schema)}.{quoted(bare(table))}"

    @property
    def record(self) -> str:
        """The quoted name of the table that records what was exported."""
        return f"{quoted(self.schema)}.{quoted(RECORD)}"

    def create(self, table: Table) -> str:
        """The table without keys, because rows are copied faster without them."""
        columns = ",\n".join(f"    {declared(c)}" for c in columns_of(table))
        return f"create table {self.name(table)} (\n{columns}\n)"

    def create_record(self) -> Iterator[str]:
        """The table that records what was exported, and its comment."""
        columns = ", ".join(f"{quoted(name)} {declared}" for name, declared in RECORD_COLUMNS.items())
        yield f"create table {self.record} ({columns})"
        yield f"comment on table {self.record} is {text_literal(RECORD_MEANS)}"

    def primary_key(self, table: Table) -> str:
        """The table's key as its primary key."""
        return f"alter table {self.name(table)} add primary key ({listed(key_of(table))})"

    def keys(self, table: Table) -> Iterator[str]:
        """An index and a foreign key for each reference."""
        for column, parent in self.references[table.name].items():
            index = quoted(f"{bare(table)}_{column}_idx")
            yield f"create index {index} on {self.name(table)} ({quoted(column)})"
            yield (
                f"alter table {self.name(table)} add constraint {foreign_key(table, column)} "
                f"foreign key ({quoted(column)}) references {self.name(parent)} ({quoted(column)})"
            )

    def drop_keys(self, table: Table) -> Iterator[str]:
        """Drop what `keys` creates, while the table is filled again."""
        for column in self.references[table.name]:
            yield f"alter table {self.name(table)} drop constraint if exists {foreign_key(table, column)}"
            yield f"drop index if exists {quoted(self.schema)}.{quoted(f'{bare(table)}_{column}_idx')}"

    def comments(self, table: Table) -> Iterator[str]:
        """The table's grain and the meaning of its columns."""
        yield f"comment on table {self.name(table)} is {text_literal(table.grain)}"
        for c in columns_of(table):
            yield f"comment on column {self.name(table)}.{quoted(c.name)} is {text_literal(c.comment)}"

    def apply(self, table: Table, rows: str) -> str:
        """Insert rows of another table, or replace those with the same key."""
        names, key = [c.name for c in columns_of(table)], key_of(table)
        changed = ", ".join(f"{quoted(n)} = excluded.{quoted(n)}" for n in names if n not in key)
        return (
            f"insert into {self.name(table)} ({listed(names)}) select {listed(names)} from {rows} "
            f"on conflict ({listed(key)}) do {f'update set {changed}' if changed else 'nothing'}"
        )

    def delete(self, table: Table, keys: str) -> str:
        """Delete the rows whose key is in another table."""
        same = " and ".join(f"t.{quoted(n)} = gone.{quoted(n)}" for n in key_of(table))
        return f"delete from {self.name(table)} t using {keys} gone where {same}"


def bare(table: Table) -> str:
    """`users` of `gold.users`."""
    return table.name.partition(".")[2]


def key_of(table: Table) -> tuple[str, ...]:
    """The columns by which the table is merged."""
    assert isinstance(table.write, Merge)
    return table.write.key


def columns_of(table: Table) -> tuple[Column, ...]:
    """The exported columns: those with a leading `_` stay in the lake."""
    return tuple(c for c in table.columns if c.name in table.content)


def declared(column: Column) -> str:
    """`"user_id" integer not null`."""
    return f"{quoted(column.name)} {kind(column)}{' not null' if column.required else ''}"


def kind(column: Column) -> str:
    """PostgreSQL's name for the type."""
    return TYPES.get(column.type, column.type)


def listed(names: Sequence[str]) -> str:
    """`"a", "b"`."""
    return ", ".join(quoted(name) for name in names)


def foreign_key(table: Table, column: str) -> str:
    """The constraint's quoted name, by PostgreSQL's own convention."""
    return quoted(f"{bare(table)}_{column}_fkey")
