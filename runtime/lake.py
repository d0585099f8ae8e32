"""The Python API of a lake: open it, read it, run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from runtime import engine
from runtime.delta.store import Store
from runtime.errors import UsageError
from runtime.ledger.drift import changed_rules, changed_shapes
from runtime.ledger.facts import Facts, State, required
from runtime.ledger.history import changed, left_out, lost, reasons, state_at, state_of
from runtime.ledger.lease import is_held, take_away
from runtime.ledger.ledger import Ledger
from runtime.ledger.progress import Progress, Silent
from runtime.ledger.session import LakeContext
from runtime.process import profiling
from runtime.read import display
from runtime.read.snapshot import Snapshot, TableView
from runtime.run.batch import new_tables
from runtime.run.plan import find_work, left_out_text
from runtime.run.runner import Report, Runner
from runtime.settings.load import Settings, check_sources, load_settings
from runtime.show.notebook import progress_here
from runtime.table import Table
from runtime.text.nearest import no_such_table
from runtime.upkeep import pins
from runtime.upkeep.quarantine import Quarantine

if TYPE_CHECKING:
    import pyarrow

    from runtime.engine import Engine
    from runtime.export.exporting import Exported
    from runtime.read.diff import Diff
    from runtime.read.trace import Trace
    from runtime.upkeep.findings import Finding
    from runtime.upkeep.optimize import Compaction
    from runtime.upkeep.restore import Restoration
    from runtime.upkeep.vacuum import Clearance
    from runtime.verify.verdict import Verdict


@dataclass(frozen=True)
class Lakehouse:
    """One lake with its settings. An engine starts only to run, to check the data, or for `.spark()`."""

    settings: Settings

    # The layers' tables. The entry module sets them: the runtime imports no layer.
    tables: ClassVar[Mapping[str, Table]] = {}
    star: ClassVar[Sequence[Table]] = ()

    @classmethod
    def open(cls, target: str | None = None, *, set: Sequence[str] = (), **flags: str | None) -> Self:
        """Open the lake of a target; `lake`, `song_data`, `log_data`, `engine` override its settings.

        Pass any other setting as `set=["key=value", …]`. Raises ConfigError.
        """
        return cls(load_settings(target, flags=flags, sets=set))

    def __repr__(self) -> str:
        return f"<lake {self.settings.lake}>"

    def _repr_html_(self) -> str:
        if self._ledger().contents().last is None:
            return display.of_empty_lake(self.settings.lake)
        return display.of_snapshot(self.at())

    def at(self, *, batch: int | None = None, as_of: object = None) -> Snapshot:
        """The whole lake as of a batch or a time, by default as last published.

        A time selects the last batch published at or before it. It is ISO text, a date, a datetime, a
        numpy.datetime64 or a pandas.Timestamp, in UTC unless it has an offset; a time given to the second
        includes that second. Raises UsageError for an unknown batch or a time before the first batch.
        """
        if batch is None and as_of is None:
            return self._snapshot(required(self._ledger().last(), self.settings.lake))
        facts = self._known()
        if batch is not None and as_of is not None:
            raise UsageError("Give a batch or a time, not both: --batch N or --as-of TIME.")
        if batch is not None:
            return self._snapshot(state_of(facts, batch))
        return self._snapshot(state_at(facts, as_of))

    def table(self, name: str) -> TableView:
        """One table, `layer.table`, as last published. Raises UsageError for an unknown name."""
        return self.at().table(name)

    def sql(self, statement: str) -> pyarrow.Table:
        """The rows of one read-only DuckDB statement over all tables, as last published."""
        return self.at().sql(statement)

    def diff(
        self, before: int, after: int, *, tables: Sequence[str] | None = None, key: object = None
    ) -> Diff:
        """The rows inserted, updated and deleted from one batch to another, in either order.

        `tables`: all by default; a bare name means gold. `key` selects one row and needs exactly one table.
        Only files that differ are read. Raises UsageError for an unknown batch, table or key.
        """
        from runtime.read.diff import around_optimize, compare

        facts = self._known()
        states = state_of(facts, before), state_of(facts, after)
        around = [(self._snapshot(a), self._snapshot(b)) for a, b in around_optimize(facts, *states)]
        return compare(self._snapshot(states[0]), self._snapshot(states[1]), tables, key, around)

    def trace(self, table: str, key: object, *, batch: int | None = None) -> Trace:
        """Trace a row to the records it was made from, with their files and lines.

        A bare name means gold. `key` is a value, its text, or a tuple for several columns. Raises
        UsageError for an unknown table, key or batch.
        """
        from runtime.read.trace import trace_row

        return trace_row(self.at(batch=batch), table, key)

    def run(
        self,
        *,
        progress: Progress | None = None,
        profile: bool = False,
        again: str | None = None,
        **options: bool,
    ) -> Report:
        """Bring the lake up to date with its sources. Raises LakehouseError.

        `retry_bad` reads unreadable files again; `fail_fast` stops at the first unreadable file.
        `full_refresh` rebuilds silver and gold from bronze. `again` names a source whose known files are
        ingested again, as new deliveries. `profile` measures the time per step, for the report and for
        `profiles()`. `once`: the process ends after the run, so the engine skips work that only later runs
        need. `progress` is a bar by default in a notebook.
        """
        if not options.get("full_refresh"):
            check_sources(self.settings)
        runner = Runner(self.settings, self.tables, progress or progress_here(self.tables))
        with profiling.taken(profile) as taken:
            report = runner.run(again=again, **options)
        report.profile = taken
        return report

    def profiles(self) -> list[dict[str, Any]]:
        """The time per step of every profiled run, oldest first.

        Each has `batch_id` (the last of the run), `seconds`, `cpu` and `parts`: table (None for a step
        without one), step, times, seconds, cpu, rows, files, bytes.
        """
        return self._ledger().profiles()

    def export(
        self,
        to: str,
        *,
        schema: str = "sparkify",
        batch: int | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> Exported:
        """Bring the star schema in a PostgreSQL database to a batch, by default the last published.

        Raises UsageError, TargetError, LeaseHeld.
        """
        from runtime.export.ddl import Star
        from runtime.export.exporting import Export
        from runtime.export.target import check_address, check_schema

        check_address(to)
        check_schema(schema)
        ledger = self._ledger()
        exports = Export(self.at(batch=batch), ledger.contents(), ledger.id, Star(self.star, schema), note)
        return exports.to(to)

    def plan(self) -> dict[str, Any]:
        """What the next run would do, and why. Starts no engine.

        Keys: `files` (path, source, bytes, reason), `bad_files`, `new_tables`, `changed_schemas`,
        `changed_rules`, `unpublished` (tables with commits of an interrupted run), `notes` (sentences about
        the sources).
        """
        check_sources(self.settings)
        runner = Runner(self.settings, self.tables)
        facts = runner.ledger.contents()
        work = find_work(self.settings, facts, marks=runner.marks(facts))
        return {
            "files": [
                {
                    "path": f.listed.uri,
                    "source": f.listed.source,
                    "bytes": f.inspected.content_bytes - f.start,
                    "reason": f.reason,
                }
                for f in work.files
            ],
            "bad_files": [{"path": b.uri, "error": b.error} for b in work.bad],
            "new_tables": sorted(new_tables(self.tables, facts)),
            "changed_schemas": changed_shapes(self.tables, facts),
            "changed_rules": list(changed_rules(self.tables, facts)),
            "unpublished": runner.unpublished(facts),
            "notes": work.sentences,
        }

    def status(self) -> dict[str, Any]:
        """`batch_id`, `tables` (rows, version, files, bytes each) and `quarantine` (by reason)."""
        return self.overview()[0]

    def upkeep(self) -> dict[str, Any]:
        """What the `status` command prints beyond `status()`.

        Keys: `last` (state), `pins`, `bad_files`, `left_out` (files that the last run left out), `lost`
        (records that lost to another owner's), `lease` (None if free).
        """
        ledger = self._ledger()
        return _upkeep(ledger.contents(), ledger.lease())

    def overview(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """`status()` and `upkeep()`, read at the same moment."""
        ledger = self._ledger()
        facts = self._published(ledger)
        return _status(facts), _upkeep(facts, ledger.lease())

    def lost(self, batch: int | None = None) -> list[str]:
        """Sentences about records that lost to another owner's, as of a batch, by default the last."""
        facts = self._known()
        return lost(facts if batch is None else facts.as_of(batch))

    def history(self, table: str | None = None) -> list[dict[str, Any]]:
        """All published states, oldest first; for a table, its commits, each with its batch.

        A state has batch_id, kind, base (the batch whose content it continues), at (ISO 8601, UTC), files,
        records, tables, seconds, engine ('' if none ran), code_version, pinned (the label or None) and
        vacuumed_at (when it became unreadable, or None). `records` is the change of the counts against its
        base: a full refresh delivers no records, and counts only those that it judges differently.
        """
        facts = self._known()
        states = sorted(facts.batches.values(), key=lambda s: s.batch_id)
        if table is not None:
            return self._commits(table, states)
        fields = (
            "batch_id",
            "kind",
            "base",
            "at",
            "files",
            "records",
            "tables",
            "seconds",
            "engine",
            "code_version",
        )
        return [
            {
                **{name: getattr(s, name) for name in fields},
                "records": changed(facts, s),
                **_kept(facts, s.batch_id),
            }
            for s in states
        ]

    @property
    def quarantine(self) -> Quarantine:
        """The records that broke a rule: `.reasons()`, `.records(…)`, `.retry()`."""
        return Quarantine(self._context(), self.at)

    def restore(
        self,
        batch: int,
        *,
        dry_run: bool = False,
        allow_unavailable: bool = False,
        since: int | None = None,
        progress: Progress | None = None,
    ) -> Restoration:
        """Put all tables back to their content at a batch, as one new state.

        Files ingested later become new again. `dry_run` changes nothing; `since`: only if that batch is
        still the last one. Raises UsageError, SchemaChanged, LeaseHeld, Fenced; SourceError when such files
        are no longer at their source, unless `allow_unavailable`.
        """
        from runtime.upkeep import restore

        context = self._context(progress)
        if dry_run:
            return restore.prospect(context, batch)
        return restore.restore(context, batch, allow_unavailable=allow_unavailable, since=since)

    def optimize(
        self, *names: str, target_bytes: int | None = None, progress: Progress | None = None
    ) -> Compaction:
        """Merge small files of tables, named by table or layer (by default all), as one new state.

        Readers of older batches are not affected. Raises UsageError, LeaseHeld, Fenced.
        """
        from runtime.upkeep import optimize as compaction

        return compaction.optimize(self._context(progress), names, target_bytes)

    def vacuum(
        self,
        *,
        history_days: int | None = None,
        dry_run: bool = False,
        since: int | None = None,
        progress: Progress | None = None,
    ) -> Clearance:
        """Remove files that no kept batch reads. `history_days`: by default the setting.

        `dry_run` changes nothing; `since`: only if that batch is still the last one. Raises UsageError,
        LeaseHeld, Fenced.
        """
        from runtime.upkeep import vacuum

        context = self._context(progress)
        days = self.settings.history_days if history_days is None else history_days
        return vacuum.prospect(context, days) if dry_run else vacuum.vacuum(context, days, since=since)

    def pin(self, batch: int, label: str) -> None:
        """Keep a batch readable through every vacuum. Raises UsageError, LeaseHeld, Fenced."""
        pins.pin(self._context(), batch, label)

    def unpin(self, batch: int) -> str:
        """Remove the pin from a batch and return its label. Raises UsageError, LeaseHeld, Fenced."""
        return pins.unpin(self._context(), batch)

    def doctor(self) -> list[Finding]:
        """Check machine and upkeep: one Finding per check. Changes nothing.

        Every table is opened with every installed library, and with Spark where Java is installed.
        """
        from runtime.upkeep import doctor

        return list(doctor.examined(self._context(), self.at))

    def report(self, batch: int | None = None) -> str:
        """A self-contained HTML page about the lake as of a batch, by default the last.

        Raises UsageError for an unknown batch, or where the extra `report` is not installed.
        """
        from runtime.show.report import report_page

        snapshot = self.at(batch=batch)
        return report_page(snapshot, self.history(), self.diff, self.lost(snapshot.batch_id))

    def verify(self, tables: Sequence[str] = (), *, progress: Progress | None = None) -> Verdict:
        """Check the data: logs, files, keys, references, counts, and equality with a rebuild.

        `tables`: all by default; a bare name means gold. The verdict reports damage. Raises UsageError for
        an unknown table, EngineError.
        """
        from runtime.verify.verifying import verify

        return verify(self._context(progress), self._engine, tables)

    def unlock(self, *, force: bool = False) -> str:
        """Release a dead run's lease; a live one only with `force`. Returns a sentence about it.

        Raises UsageError where there is no lake, LeaseHeld.
        """
        ledger = self._ledger()
        if ledger.version < 0:
            raise UsageError(
                f"{self.settings.lake} holds no lake, so there is no lease to release. "
                "Name another folder with --lake."
            )
        lease = take_away(ledger, force=force)
        if lease is None:
            return "The lease is free."
        return f"Released the lease of process {lease['pid']} on {lease['host']}."

    def _commits(self, table: str, states: list[State]) -> list[dict[str, Any]]:
        if table not in self.tables:
            raise no_such_table("history", table, self.tables)
        opened = Store.of(self.settings).open(table)
        published: dict[int, int] = {}
        for state in states:
            if table in state.tables:
                published.setdefault(state.tables[table]["version"], state.batch_id)
        return [
            {
                "version": commit["version"],
                "at": datetime.fromtimestamp(commit["timestamp"] / 1000, UTC).isoformat(),
                "operation": commit["operation"],
                "batch_id": published.get(commit["version"]),
            }
            for commit in reversed(opened.history() if opened else [])
        ]

    def _ledger(self) -> Ledger:
        return Ledger.of(Store.of(self.settings))

    def _context(self, progress: Progress | None = None) -> LakeContext:
        return LakeContext(self.settings, self.tables, progress or Silent())

    def _snapshot(self, state: State) -> Snapshot:
        return Snapshot(Store.of(self.settings), self.tables, state, self._engine)

    def _known(self) -> Facts:
        return self._published(self._ledger())

    def _published(self, ledger: Ledger) -> Facts:
        facts = ledger.contents()
        required(facts.last, self.settings.lake)
        return facts

    def _engine(self) -> Engine:
        return engine.started(self.settings)


def _status(facts: Facts) -> dict[str, Any]:
    assert facts.last is not None
    sizes = ("rows", "version", "files", "bytes")
    return {
        "batch_id": facts.last.batch_id,
        "tables": {n: {s: t[s] for s in sizes} for n, t in facts.last.tables.items()},
        "quarantine": reasons(facts),
    }


def _upkeep(facts: Facts, lease: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "last": facts.last,
        "pins": dict(facts.pins),
        "bad_files": [{"path": "/".join(k), "error": v[1]} for k, v in facts.bad.items()],
        "left_out": [left_out_text(s, n, example) for s, (n, example) in left_out(facts).items()],
        "lost": lost(facts),
        "lease": lease if is_held(lease) else None,
    }


def _kept(facts: Facts, batch: int) -> dict[str, str | None]:
    at = facts.vacuumed.get(batch)
    return {"pinned": facts.pins.get(batch), "vacuumed_at": at.isoformat() if at else None}
