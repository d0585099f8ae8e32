"""The data files of a table as they lie there, and which of them a version reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import unquote

from deltalake import DeltaTable

from runtime.delta import Store, file_list, file_system
from runtime.ledger import State

OPENING = 8  # versions opened at once: in a bucket each takes a few requests


def lying(table: DeltaTable) -> dict[str, int]:
    """Path and bytes of every data file below a table, whether a version reads it or not."""
    from pyarrow.fs import FileSelector

    found = file_system(table).get_file_info(FileSelector("", recursive=True))
    return {i.path: i.size for i in found if i.is_file and _is_data(i.path)}


@dataclass
class Readings:
    """The files that each version of the lake's tables reads; a version is opened once."""

    store: Store
    _known: dict[tuple[str, int], frozenset[str]] = field(default_factory=dict)

    def of(self, name: str, version: int) -> frozenset[str]:
        """The paths below a table that a version of it reads; none where the table is gone."""
        if (name, version) not in self._known:
            table = self.store.open(name, version)
            # The log holds paths as URIs.
            paths = file_list(table)["path"] if table else ()
            self._known[name, version] = frozenset(map(unquote, paths))
        return self._known[name, version]

    def of_all(self, name: str, states: Iterable[State]) -> frozenset[str]:
        """The paths below a table that any of the states reads."""
        versions = {s.tables[name]["version"] for s in states if name in s.tables}
        with ThreadPoolExecutor(OPENING) as pool:
            read = pool.map(lambda version: self.of(name, version), sorted(versions))
            return frozenset(path for paths in read for path in paths)


def remove(table: DeltaTable, paths: Mapping[str, int]) -> None:
    """Remove files for good."""
    files = file_system(table)
    for path in paths:
        files.delete_file(path)


def _is_data(path: str) -> bool:
    return path.endswith(".parquet") and not any(p.startswith(("_", ".")) for p in path.split("/"))
