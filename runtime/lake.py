"""The lake as Python sees it: open it, look, ask, run."""

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
    """One lake under given settings. Reading starts no engine; `run()` and `.spark()` start one."""

    settings: Settings

    # The layers' tables. The entry module sets them: the runtime imports no layer.
    tables: ClassVar[Mapping[str, Table]] = {}
    star: ClassVar[Sequence[Table]] = ()

    @classmethod
    def open(cls, target: str | None = None, *, set: Sequence[str] = (), **flags: str | None) -> Self:
        """The lake of a target; `lake`, `song_data`, `log_data`, `engine` override its settings.

        Any other setting is given as `set=["key=value", …]`. Raises ConfigError.
        """
        return cls(load_settings(target, flags=flags, sets=set))

    def __repr__(self) -> str:
        return f"<lake {self.settings.lake}>"

    def _repr_html_(self) -> str:
        if self._ledger().contents().last is None:
            return display.of_empty_lake(self.settings.lake)
        return display.of_snapshot(self.at())

    def at(self, *, batch: int | None = None, as_of: object = None) -> Snapshot:
        """The whole lake as of a batch, or as last published at or before a time (UTC by default).

        A time is ISO text, a date, a datetime, a numpy.datetime64 or a pandas.Timestamp; one given to the
        second includes that second. Raises UsageError for a batch that is not there or a time before the
        first.
        """
        if batch is None and as_of is None:
            return self._snapshot(required(self._ledger().last(), self.settings.lake))
        known = self._known()
        if batch is not None and as_of is not None:
            raise UsageError("Give a batch or a time, not both: --batch N or --as-of TIME.")
        if batch is not None:
            return self._snapshot(state_of(known, batch))
        return self._snapshot(state_at(known, as_of))

    def table(self, name: str) -> TableView:
        """One table, `layer.table`, as last published. Raises UsageError for an unknown name."""
        return self.at().table(name)

    def sql(self, statement: str) -> pyarrow.Table:
        """The rows of one reading statement over all tables, as last published."""
        return self.at().sql(statement)

    def diff(
        self, before: int, after: int, *, tables: Sequence[str] | None = None, key: object = None
    ) -> Diff:
        """The rows inserted, updated and deleted from one batch to another, which may be the older one.

        `tables` are all by default, a bare name means gold; `key` names one row of the one table given.
        Reads only the files that differ. Raises UsageError for an unknown batch, table or key.
        """
        from runtime.read.diff import around_optimize, compare

        known = self._known()
        states = state_of(known, before), state_of(known, after)
        around = [(self._snapshot(a), self._snapshot(b)) for a, b in around_optimize(known, *states)]
        return compare(self._snapshot(states[0]), self._snapshot(states[1]), tables, key, around)

    def trace(self, table: str, key: object, *, batch: int | None = None) -> Trace:
        """A row back to the records it was made from, with their files and lines.

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
        """Bring the lake up to date with its sources.

        `retry_bad` reads files again that could not be read; `fail_fast` stops at the first such file;
        `full_refresh` rebuilds silver and gold from bronze; `again` names a source of which known files are
        taken in again, as new deliveries; `profile` measures where the time goes, for
        the report and for `profiles()`; `once` says that the process ends after it, which spares the
        engine what would pay later. In a notebook a bar shows how far it is, unless `progress` is told
        instead. Raises LakehouseError.
        """
        if not options.get("full_refresh"):
            check_sources(self.settings)
        runner = Runner(self.settings, self.tables, progress or progress_here(self.tables))
        with profiling.taken(profile) as taken:
            report = runner.run(again=again, **options)
        report.profile = taken
        return report

    def profiles(self) -> list[dict[str, Any]]:
        """Where the time went in the runs that were asked for it, oldest first.

        Each has `batch_id` (the last of the run), `seconds`, `cpu` and `parts`: table (None where a step
        belongs to none), step, times, seconds, cpu, rows, files, bytes.
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
        """What the next run would do, and why. Starts nothing.

        Keys: `files` (path, source, bytes, reason), `bad_files`, `new_tables`, `changed_schemas`,
        `changed_rules`, `unpublished` (tables that a run cut off has written to), `notes` (what else there is
        to know about the sources).
        """
        check_sources(self.settings)
        runner = Runner(self.settings, self.tables)
        known = runner.ledger.contents()
        work = find_work(self.settings, known, marks=runner.marks(known))
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
            "new_tables": sorted(new_tables(self.tables, known)),
            "changed_schemas": changed_shapes(self.tables, known),
            "changed_rules": list(changed_rules(self.tables, known)),
            "unpublished": runner.unpublished(known),
            "notes": work.sentences,
        }

    def status(self) -> dict[str, Any]:
        """`batch_id`, `tables` (rows, version, files, bytes each) and `quarantine` (by reason)."""
        return self.overview()[0]

    def upkeep(self) -> dict[str, Any]:
        """What `status` tells a person besides: the last state, pins, unreadable files, those that the last
        run left out, records that lost to another owner's, the lease."""
        ledger = self._ledger()
        return _upkeep(ledger.contents(), ledger.lease())

    def overview(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """`status()` and `upkeep()` of one moment."""
        ledger = self._ledger()
        known = self._published(ledger)
        return _status(known), _upkeep(known, ledger.lease())

    def lost(self, batch: int | None = None) -> list[str]:
        """What to know of records that lost to another owner's, as of a batch, the last by default."""
        known = self._known()
        return lost(known if batch is None else known.as_of(batch))

    def history(self, table: str | None = None) -> list[dict[str, Any]]:
        """All published states, oldest first; or one table's commits, each with its batch.

        A state has batch_id, kind, base (the batch whose content it continues), at (ISO 8601, UTC),
        files, records, tables, seconds, engine ('' where none was at work), code_version, pinned (the
        label or None) and vacuumed_at (when it became unreadable, or None). `records` are what it adds to
        the counts of its base: a full refresh delivers none, and adds only what it judges otherwise.
        """
        known = self._known()
        states = sorted(known.batches.values(), key=lambda s: s.batch_id)
        if table is not None:
            return self._commits(table, states)
        shown = (
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
                **{name: getattr(s, name) for name in shown},
                "records": changed(known, s),
                **_kept(known, s.batch_id),
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
        """Put all tables back to what they held at a batch, as one new state.

        Files taken in later become new again. `dry_run` only looks; `since` goes back only if that
        batch is still the last one. Raises UsageError, SchemaChanged, LeaseHeld, Fenced, and SourceError
        when such files are no longer at their source, unless `allow_unavailable`.
        """
        from runtime.upkeep import restore

        place = self._context(progress)
        if dry_run:
            return restore.prospect(place, batch)
        return restore.restore(place, batch, allow_unavailable=allow_unavailable, since=since)

    def optimize(
        self, *names: str, target_bytes: int | None = None, progress: Progress | None = None
    ) -> Compaction:
        """Merge the small files of tables, given by table or layer (all by default), as one new state.

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
        """Remove files that no batch we keep reads. `history_days`: the setting by default.

        `dry_run` only looks; `since` removes only if that batch is still the last one. Raises
        UsageError, LeaseHeld, Fenced.
        """
        from runtime.upkeep import vacuum

        place = self._context(progress)
        days = self.settings.history_days if history_days is None else history_days
        return vacuum.prospect(place, days) if dry_run else vacuum.vacuum(place, days, since=since)

    def pin(self, batch: int, label: str) -> None:
        """Keep a batch readable through every vacuum. Raises UsageError, LeaseHeld, Fenced."""
        pins.pin(self._context(), batch, label)

    def unpin(self, batch: int) -> str:
        """Take the pin from a batch; gives its label. Raises UsageError, LeaseHeld, Fenced."""
        return pins.unpin(self._context(), batch)

    def doctor(self) -> list[Finding]:
        """Whether machine and upkeep are right: a finding a check. Changes nothing.

        Every table is opened by every library at hand, on Spark too where Java is.
        """
        from runtime.upkeep import doctor

        return list(doctor.examined(self._context(), self.at))

    def report(self, batch: int | None = None) -> str:
        """A self-contained HTML page about the lake as of a batch, the last by default.

        Raises UsageError for a batch that is not there, or where the extra `report` is not installed.
        """
        from runtime.show.report import report_page

        snapshot = self.at(batch=batch)
        return report_page(snapshot, self.history(), self.diff, self.lost(snapshot.batch_id))

    def verify(self, tables: Sequence[str] = (), *, progress: Progress | None = None) -> Verdict:
        """Whether the data is right: logs, files, keys, references, counts, and equality with a rebuild.

        `tables` are all by default, a bare name means gold. Damage is told in the verdict. Raises
        UsageError for an unknown table, EngineError.
        """
        from runtime.verify.verifying import verify

        return verify(self._context(progress), self._engine, tables)

    def unlock(self, *, force: bool = False) -> str:
        """Release a dead run's lease; a live one only with `force`. Says what was done.

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
        known = ledger.contents()
        required(known.last, self.settings.lake)
        return known

    def _engine(self) -> Engine:
        return engine.started(self.settings)


def _status(known: Facts) -> dict[str, Any]:
    assert known.last is not None
    sizes = ("rows", "version", "files", "bytes")
    return {
        "batch_id": known.last.batch_id,
        "tables": {n: {s: t[s] for s in sizes} for n, t in known.last.tables.items()},
        "quarantine": reasons(known),
    }


def _upkeep(known: Facts, lease: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "last": known.last,
        "pins": dict(known.pins),
        "bad_files": [{"path": "/".join(k), "error": v[1]} for k, v in known.bad.items()],
        "left_out": [left_out_text(s, n, example) for s, (n, example) in left_out(known).items()],
        "lost": lost(known),
        "lease": lease if is_held(lease) else None,
    }


def _kept(known: Facts, batch: int) -> dict[str, str | None]:
    at = known.vacuumed.get(batch)
    return {"pinned": known.pins.get(batch), "vacuumed_at": at.isoformat() if at else None}
