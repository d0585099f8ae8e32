"""Compare whole tables by chispa on the engine of the session; rows, versions and digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chispa import assert_df_equality
from pyspark.sql import DataFrame

import gold
from lakehouse import Lakehouse
from runtime.engine import Engine

DERIVED = tuple(name for name in gold.TABLES if not name.startswith("bronze."))
GOLD = tuple(name for name in gold.TABLES if name.startswith("gold."))


def assert_same_tables(
    engine: Engine, left: Lakehouse, right: Lakehouse, tables: Iterable[str] = DERIVED
) -> None:
    """Assert that all rows of the tables are equal, in all columns without a leading `_`."""
    for name in tables:
        # Sail cannot sort by an array, so reasons are compared as text.
        content = [
            f"array_join({c.name}, '; ') as {c.name}" if c.type.startswith("array") else c.name
            for c in gold.TABLES[name].columns
            if c.name in gold.TABLES[name].content
        ]
        ours, theirs = (
            engine.read(f"{lake.settings.lake}/{name.replace('.', '/')}").selectExpr(*content)
            for lake in (left, right)
        )
        assert_df_equality(ours, theirs, ignore_row_order=True, ignore_nullable=True)


def rows(lake: Lakehouse, statement: str) -> list[dict[str, Any]]:
    """The result of a statement, as dictionaries."""
    return list(lake.sql(statement).to_pylist())


def collected(frame: DataFrame) -> list[dict[str, Any]]:
    """An engine's rows as dictionaries, through Arrow so that timestamps keep their zone."""
    return list(frame.toArrow().to_pylist())


def versions(lake: Lakehouse) -> dict[str, int]:
    """Every table's published version."""
    return {name: table["version"] for name, table in lake.status()["tables"].items()}


def changed_since(before: dict[str, int], lake: Lakehouse) -> set[str]:
    """The tables whose version is not the one in `before`."""
    return {name for name, version in versions(lake).items() if version != before[name]}


def digests(folder: Path) -> dict[str, str]:
    """The digest of every file below a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
