"""The data files in a table's folder: list and remove them."""

from __future__ import annotations

from collections.abc import Mapping

from deltalake import DeltaTable

from runtime.delta.store import file_system


def lying(table: DeltaTable) -> dict[str, int]:
    """Path and bytes of every data file in a table's folder, also of those that no version reads."""
    from pyarrow.fs import FileSelector

    entries = file_system(table).get_file_info(FileSelector("", recursive=True))
    return {i.path: i.size for i in entries if i.is_file and _is_data(i.path)}


def remove(table: DeltaTable, paths: Mapping[str, int]) -> None:
    """Delete data files."""
    files = file_system(table)
    for path in paths:
        files.delete_file(path)


def _is_data(path: str) -> bool:
    return path.endswith(".parquet") and not any(p.startswith(("_", ".")) for p in path.split("/"))
