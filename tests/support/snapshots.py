"""Whole tables as of a batch, read by DuckDB and sorted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gold
from lakehouse import Lakehouse

Rows = list[tuple[Any, ...]]


def contents(
    lake: Lakehouse, batch: int | None = None, tables: Iterable[str] | None = None
) -> dict[str, Rows]:
    """The tables' rows as of a batch (the last one by default), without the columns that begin with `_`."""
    snapshot = lake.at(batch=batch)
    return {name: _rows(snapshot.table(name).arrow(), name) for name in tables or snapshot.versions}


def _rows(table: Any, name: str) -> Rows:
    columns = [c for c in gold.TABLES[name].content if not c.startswith("_")]
    return sorted((tuple(row.values()) for row in table.select(columns).to_pylist()), key=repr)
