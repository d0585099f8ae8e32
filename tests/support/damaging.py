"""Damage to a lake on disk, as by a broken disk, a user error or another program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lakehouse import Lakehouse

LogEdit = Callable[[dict[str, Any]], dict[str, Any] | None]


def folder(lake: Lakehouse, table: str) -> Path:
    return Path(lake.settings.lake, *table.split("."))


def data_files(lake: Lakehouse, table: str) -> list[Path]:
    """The data files of the newest version of a table, the one with most rows first."""
    opened = DeltaTable(str(folder(lake, table)))
    listed = opened.get_add_actions(flatten=True)
    rows = zip(listed.column("num_records").to_pylist(), listed.column("path").to_pylist(), strict=True)
    return [folder(lake, table) / path for _, path in sorted(rows, reverse=True)]


def commit_file(lake: Lakehouse, table: str, version: int) -> Path:
    return folder(lake, table) / "_delta_log" / f"{version:020}.json"


def flip(file: Path, at: float, length: int = 16) -> None:
    """Invert bytes of a file, from a fraction of its length on."""
    body = bytearray(file.read_bytes())
    start = int(len(body) * at)
    body[start : start + length] = bytes(255 - b for b in body[start : start + length])
    file.write_bytes(bytes(body))


def edit_commit(lake: Lakehouse, table: str, version: int, edit: LogEdit) -> None:
    """Change the actions of a commit; `edit` returns None to remove an action."""
    file = commit_file(lake, table, version)
    edited = [edit(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    text = "\n".join(json.dumps(action) for action in edited if action is not None)
    file.write_text(text + "\n", encoding="utf-8")


def rewrite(lake: Lakehouse, table: str, change: Callable[[pa.Table], pa.Table], *, log_too: bool) -> None:
    """Overwrite a data file of a table in place; with `log_too` also its size and count in the log."""
    file = data_files(lake, table)[0]
    rows = change(pq.ParquetFile(file).read())
    pq.write_table(rows, file)
    if not log_too:
        return

    def as_if(action: dict[str, Any]) -> dict[str, Any]:
        add = action.get("add")
        if add and add["path"] == file.relative_to(folder(lake, table)).as_posix():
            add["size"] = file.stat().st_size
            add["stats"] = json.dumps({"numRecords": rows.num_rows})
        return action

    for version in range(DeltaTable(str(folder(lake, table))).version() + 1):
        edit_commit(lake, table, version, as_if)


def without_a_row(rows: pa.Table) -> pa.Table:
    return rows.sort_by(rows.column_names[0]).slice(1)


def with_a_row_twice(rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, rows.slice(0, 1)])


def edit_state(lake: Lakehouse, batch: int, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change the ledger's state of a batch by a commit without the lease."""
    ledger = DeltaTable(str(Path(lake.settings.lake, "_ledger")))
    states = [r for r in _facts(ledger) if r["kind"] == "state" and r["batch_id"] == batch]
    body = json.loads(states[-1]["body"])
    edit(body)
    ledger.update(new_values={"body": json.dumps(body)}, predicate=f"kind = 'state' and batch_id = {batch}")


def forget_delivery(lake: Lakehouse, delivery: int) -> None:
    ledger = DeltaTable(str(Path(lake.settings.lake, "_ledger")))
    ledger.delete(f"kind = 'delivery' and delivery = {delivery}")


def _facts(ledger: DeltaTable) -> list[dict[str, Any]]:
    from deltalake import QueryBuilder

    result = QueryBuilder().register("ledger", ledger).execute("select kind, batch_id, body from ledger")
    return list(pa.table(result.read_all()).to_pylist())
