"""Doctor: check machine and upkeep. It changes nothing.

`verify` checks whether the data is right; `doctor` checks whether it can be read, written and maintained.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError
from packaging.requirements import Requirement

from runtime.delta.store import PROPERTIES
from runtime.errors import first_line
from runtime.ledger.drift import changed_rules, changed_shapes
from runtime.ledger.facts import Facts
from runtime.ledger.history import left_out
from runtime.ledger.lease import is_held
from runtime.ledger.rollback import unpublished
from runtime.ledger.session import LakeContext
from runtime.run.plan import left_out_text
from runtime.s3.config import is_s3
from runtime.s3.credentials import keys
from runtime.s3.options import storage_options
from runtime.upkeep import vacuum
from runtime.upkeep.findings import Finding

if TYPE_CHECKING:
    from runtime.read.snapshot import Snapshot

Count = Callable[[str], int]
COMMAND = "python lakehouse.py"
CROWDED = 50  # surplus files per table, where the settings set no threshold


def examined(context: LakeContext, snapshot: Callable[[], Snapshot]) -> Iterator[Finding]:
    """All findings, machine first. `snapshot` returns the last state. Raises StorageError."""
    yield from machine(context)
    known = context.ledger().contents()
    if known.last is None:
        yield Finding("lake", f"{context.settings.lake} holds no batch yet; `run` fills it")
        return
    yield from upkeep(context, known)
    yield from readers(context, snapshot())


def machine(context: LakeContext) -> Iterator[Finding]:
    """Python, packages, engines, disk space."""
    from runtime.upkeep import engines

    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", python, "" if sys.version_info >= (3, 11) else "install Python 3.11 or newer")
    wrong = list(_unfit_packages())
    yield Finding("packages", "; ".join(wrong) or "as declared", "make setup" if wrong else "")
    yield from engines.findings(context.settings)
    if not is_s3(context.settings.lake):
        yield _room(context)


def upkeep(context: LakeContext, known: Facts) -> Iterator[Finding]:
    """Lease, unpublished commits, orphan and small files, properties, protocol, rules, source files."""
    assert known.last is not None
    lease = context.ledger().lease()
    yield Finding("lease", _lease(lease, held=is_held(lease)))
    tables = {name: table for name, table in context.tables.items() if name in known.last.tables}
    moved = [] if is_held(lease) else unpublished(context.store, tables, known)
    yield _about(moved, "tables", "all as published", "written to since the last publish", "optimize")
    yield _orphans(context)
    limit = context.settings.compact_after or CROWDED
    crowded = [n for n, t in known.last.tables.items() if t.get("excess", 0) >= limit]
    yield _about(crowded, "small files", "few", "many", "optimize")
    opened = {n: _published(context, n, known.last.tables[n]["version"]) for n in tables}
    loose = [name for name, table in opened.items() if table and not _keeps_history(table)]
    yield _about(loose, "retention", "history is kept", "may lose old versions", "run --full-refresh")
    newer = [name for name, table in opened.items() if table and table.protocol().min_reader_version > 1]
    yield _about(newer, "protocol", "any Delta reader", "needs a newer reader", "run --full-refresh")
    changed = sorted({*changed_rules(context.tables, known), *changed_shapes(context.tables, known)})
    yield _about(changed, "rules", "as the rows were made", "changed since", "run --full-refresh")
    bad = ["/".join(path) for path in known.bad]
    yield _about(bad, "source files", "all could be read", "could not be read", "run --retry-bad")
    others = [left_out_text(source, n, example) for source, (n, example) in left_out(known).items()]
    yield Finding("file names", " ".join(others) or "all are read")


def _orphans(context: LakeContext) -> Finding:
    try:
        files = sum(len(paths) for paths in vacuum.prospect(context, None).files.values())
    except DeltaError as refused:
        return Finding("orphan files", f"not counted: {first_line(refused)}", f"{COMMAND} run")
    found = f"{files:,} that no batch reads" if files else "none"
    return Finding("orphan files", found, f"{COMMAND} vacuum" if files else "")


def _published(context: LakeContext, name: str, version: int) -> DeltaTable | None:
    """A table at its published version; None where it cannot be opened."""
    try:
        return context.store.open(name, version)
    except DeltaError:
        return None


def readers(context: LakeContext, snapshot: Snapshot) -> Iterator[Finding]:
    """Whether every library opens every table and counts the rows that the batch published."""
    published = {name: snapshot.state.tables[name]["rows"] for name in snapshot.versions}
    for reader, count in _counts(context, snapshot).items():
        wrong = [w for name, rows in published.items() if (w := _miscounted(name, rows, count))]
        summary = f"{len(published)} tables, {sum(published.values()):,} rows"
        yield Finding(f"read by {reader}", "; ".join(wrong) or summary, f"{COMMAND} verify" if wrong else "")


def _counts(context: LakeContext, snapshot: Snapshot) -> Mapping[str, Count]:
    from runtime.upkeep import engines

    def delta_rs(name: str) -> int:
        table = context.store.open(name, snapshot.versions[name])
        assert table is not None
        # A bare count(*) is answered from the log's statistics, and opens no file.
        column = context.tables[name].column_names[0]
        batches = pa.RecordBatchReader.from_stream(
            QueryBuilder().register("t", table).execute(f"select {column} from t")
        )
        return sum(batch.num_rows for batch in batches)

    def duckdb(name: str) -> int:
        # Only this table: one damaged table must not fail the others.
        alone = replace(snapshot, tables={name: context.tables[name]})
        return int(alone.sql(f"select count(*) as n from {name}").column("n")[0].as_py())

    running = engines.reader(context.settings)

    def engine(name: str) -> int:
        rows = running.read(context.store.uri(name), snapshot.versions[name])
        return rows.where("rand() >= 0").count()  # a filter, so that the engine opens the files

    counts = {"delta-rs": delta_rs, "DuckDB": duckdb, running.name.capitalize(): engine}
    return counts | ({"Polars": _polars(context, snapshot)} if _installed("polars") else {})


def _polars(context: LakeContext, snapshot: Snapshot) -> Count:
    import polars

    def count(name: str) -> int:
        uri = context.store.uri(name)
        options = storage_options(uri, context.store.access)
        if options is not None:  # Polars reads its own retry options by these names
            options = {key: value for key, value in options.items() if "retr" not in key} | keys()
        rows = polars.scan_delta(uri, version=snapshot.versions[name], storage_options=options)
        return int(rows.select(polars.len()).collect().item())

    return count


def _miscounted(name: str, rows: int, count: Count) -> str:
    try:
        counted = count(name)
    except Exception as error:  # any error of a library is a finding
        return f"{name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    return "" if counted == rows else f"{name}: {counted:,} rows, {rows:,} published"


def _unfit_packages() -> Iterator[str]:
    """Core packages that are missing, or whose version pyproject.toml does not allow."""
    for line in requires("sparkify-lakehouse") or ():
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if not _installed(requirement.name):
            yield f"{requirement.name} is missing"
        elif not requirement.specifier.contains(version(requirement.name), prereleases=True):
            yield f"{requirement.name} is {version(requirement.name)}, not {requirement.specifier}"


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _room(context: LakeContext) -> Finding:
    """Two batches must fit: a batch is written as raw and as typed rows."""
    folder = context.settings.lake
    while True:
        try:
            free = shutil.disk_usage(folder).free
            break
        except FileNotFoundError:
            folder = folder.rpartition("/")[0] or "/"
    short = free < 2 * context.settings.bytes_of_batch
    space = f"{free / 1024**3:,.1f} GiB free at the lake"
    return Finding("disk", space, "make room, or set a smaller batch_bytes" if short else "")


def _lease(lease: Mapping[str, Any] | None, *, held: bool) -> str:
    if lease is None or lease["released"]:
        return "free"
    holder = f"`{lease['command']}`, process {lease['pid']} on {lease['host']}"
    return f"held by {holder}" if held else f"left by {holder}, which died; the next run takes it over"


def _keeps_history(table: DeltaTable) -> bool:
    configuration = table.metadata().configuration
    return all(configuration.get(key) == value for key, value in PROPERTIES.items())


def _about(wrong: list[str], check: str, well: str, ill: str, command: str) -> Finding:
    if not wrong:
        return Finding(check, well)
    names = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    return Finding(check, f"{names}: {ill}", f"{COMMAND} {command}")
