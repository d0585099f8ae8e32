"""A run: find work, claim the lease, roll back the writes of a killed run, take in and publish batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from runtime import engine
from runtime.delta.store import Store
from runtime.errors import CheckFailed, ConfigError, LakehouseError, SchemaChanged, StorageError, UsageError
from runtime.ledger.drift import changed_shapes
from runtime.ledger.facts import EMPTY, Facts, State, profile_row
from runtime.ledger.history import added, lost_text
from runtime.ledger.lease import Owner, claim, is_held
from runtime.ledger.ledger import Ledger
from runtime.ledger.progress import Progress, Silent
from runtime.ledger.publish import publish
from runtime.ledger.rollback import DamagedTables, roll_back, rolled_back, unpublished
from runtime.process import profiling
from runtime.process.profiling import Profile
from runtime.run import batch as batches
from runtime.run import compact
from runtime.run.availability import unavailable
from runtime.run.batch import RunContext
from runtime.run.plan import Batch, Seen, Work, changed_since, cut_batches, find_work
from runtime.run.quarantine_retry import retry
from runtime.s3.config import is_s3
from runtime.s3.failures import explained
from runtime.settings.load import SOURCES, Settings
from runtime.sources.filesystems import FileSystems
from runtime.sources.jsonpaths import Renames, mark_of, read_renames
from runtime.sources.listing import BadFile
from runtime.sources.open_file import Unreadable
from runtime.table import Deliver, Merge, Table, fingerprints
from runtime.table.checks import check_builds, check_declarations
from runtime.table.layer_faults import layer_error
from runtime.text.nearest import nearest

NONE: Mapping[str, Renames] = {}


@dataclass
class Report:
    """The result of a run: published states and unreadable files (`failed`).

    `errors` name sources of which no record was accepted, `notes` are remarks for the user, `left_out` gives
    by source [files, example] of files with names that are not read; `profile` is set with --profile.
    """

    new_files: int = 0
    states: list[State] = field(default_factory=list)
    failed: list[BadFile] = field(default_factory=list)
    stands: Facts = EMPTY  # the facts in the ledger at the start
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    profile: Profile | None = None

    @property
    def refused(self) -> dict[str, int]:
        """By table that rejected every record of the run, the number of records."""
        names = dict.fromkeys(name for state in self.states for name in state.judged)
        judged = {n: added([s.judged[n] for s in self.states if n in s.judged]) for n in names}
        return {n: c["delivered"] for n, c in judged.items() if c["delivered"] == c["quarantined"]}

    def __repr__(self) -> str:
        batches = ", ".join(str(state.batch_id) for state in self.states)
        parts = [f"batch {batches} published" if batches else "nothing published"]
        parts += [f"{len(self.failed)} unreadable"] if self.failed else []
        return f"<run: {', '.join(parts)}>"

    def as_json(self) -> dict[str, Any]:
        """The JSON of `run --format json`."""
        report: dict[str, Any] = {
            "new_files": self.new_files,
            "batches": [state_as_json(state) for state in self.states],
        }
        if self.failed:
            report["failed_files"] = [{"path": f.uri, "error": f.error} for f in self.failed]
        if self.profile:
            report["profile"] = self.profile.as_json()
        return report


def state_as_json(state: State) -> dict[str, Any]:
    """A published batch in the JSON of `run --format json`."""
    records = ("delivered", "accepted", "duplicate", "superseded", "quarantined")
    counts = ("version", "inserted", "updated", "deleted", "rows")
    return {
        "batch_id": state.batch_id,
        "files": {source: state.files.get(source, 0) for source in SOURCES},
        "records": {name: state.records.get(name, 0) for name in records},
        "tables": {name: {c: t[c] for c in counts} for name, t in state.tables.items()},
        "seconds": state.seconds,
    }


@dataclass
class Runner:
    """Brings one lake up to date with its sources."""

    settings: Settings
    tables: Mapping[str, Table]
    progress: Progress = field(default_factory=Silent)

    def __post_init__(self) -> None:
        self.store = Store.of(self.settings)
        self.ledger = Ledger.of(self.store)
        self._places = FileSystems.reached(self.settings.s3)
        self._seen: Seen = {}

    def run(
        self,
        *,
        retry_bad: bool = False,
        fail_fast: bool = False,
        full_refresh: bool = False,
        accept_loss: bool = False,
        once: bool = False,
        again: str | None = None,
    ) -> Report:
        """Run once. Raises LeaseHeld, SchemaChanged, SourceError, CheckFailed, EngineError, Fenced.

        `once`: the process ends after this run. `again`: every file of this source is a new delivery.
        """
        check_declarations(self.tables)
        self._require_source(again, full_refresh=full_refresh)
        if accept_loss and not full_refresh:
            raise UsageError(
                "--accept-loss goes with --full-refresh: it says that bronze may have lost records."
            )
        if full_refresh:
            return self._full_refresh(accept_loss=accept_loss)
        known = self.ledger.contents()
        self._require_same_shape(known)
        work = self._find(known, retry_bad, again)
        if work.is_empty and not self._new_tables(known) and not self.unpublished(known):
            return Report(stands=known, notes=work.sentences)
        with claim(self.ledger, "run", self.settings.lease_seconds) as owner:
            if (meanwhile := self.ledger.contents()) is not known:
                # Another run published before this one claimed the lease.
                work = self._find(meanwhile, retry_bad, again)
            rebuilt = self._caught_up(owner, meanwhile)
            try:
                known = self.ledger.contents()
                report = self._take_in(owner, known, work, fail_fast=fail_fast, once=once)
            except DamagedTables as damaged:
                rebuilt += self._recovered(owner, damaged)
                known = self.ledger.contents()
                work = self._find(known, retry_bad, None)
                report = self._take_in(owner, known, work, fail_fast=fail_fast, once=once)
            report.states[:0] = rebuilt
            _keep_profile(owner, report.states)
        return report

    def _caught_up(self, owner: Owner, known: Facts) -> list[State]:
        """Rebuild silver and gold if code without a silver table published batches since.

        Gold is filled without a rebuild; silver has already counted the records of earlier batches.
        """
        published = known.last.tables if known.last else {}
        behind = [name for name in self._new_tables(known) if name in published]
        if all(isinstance(self.tables[name].write, Merge) for name in behind):
            return []
        self.progress.note(f"{', '.join(sorted(behind))} fell behind: rebuilding silver and gold from bronze")
        return [self._rebuilt(owner, accept_loss=False)]

    def _take_in(self, owner: Owner, known: Facts, work: Work, *, fail_fast: bool, once: bool) -> Report:
        report = Report(len(work.files), failed=list(work.bad), stands=known, notes=work.sentences)
        report.left_out = {source: [files, example] for source, files, example in work.left_out}
        if fail_fast and work.bad:
            bad = work.bad[0]
            raise CheckFailed(
                f"{bad.uri}: {bad.error} Nothing was taken in, because of --fail-fast. Mend or remove "
                "the file, or run without --fail-fast to take the others."
            )
        if not work.is_empty:
            owner.commit(work.rows())
        new = self._new_tables(known)
        if work.files or new:
            # A table that is new in the code reads all of bronze, so its size is not known here.
            ahead = work.content_bytes if once and not new else None
            with self._at_work(owner, self._renames(), ahead) as shared:
                self._batches(owner, shared, work, report)
        else:
            roll_back(self.store, self.tables, owner, self.progress)
        return report

    def _batches(self, owner: Owner, shared: RunContext, work: Work, report: Report) -> None:
        self.progress.work(len(work.files), work.content_bytes)
        cut = list(cut_batches(work.files, self.settings.bytes_of_batch))
        for batch in cut or [()]:
            if state := self._publish(owner, shared, batch, report):
                report.states.append(state)
        report.errors += [self._all_refused(name, n) for name, n in report.refused.items()]
        if report.states:
            last = report.states[-1]
            compact.after_run(owner, shared.heads, last, self.settings, self.progress)

    def _publish(self, owner: Owner, shared: RunContext, batch: Batch, report: Report) -> State | None:
        """Take in and publish one batch. Files that change during the run are left for the next run."""
        batch = self._without_changed(batch, report)
        known = self.ledger.contents()
        if not batch and not self._new_tables(known):
            return None
        shared.heads.store.clear_scratch()
        state = self._unless_changed(shared, known, batch)
        if state is None:
            shared.heads = rolled_back(self.store, self.tables, owner, self.progress)
            return self._publish(owner, shared, batch, report)
        state = replace(state, left_out=report.left_out)
        self._commit(owner, shared, state)
        return state

    def _all_refused(self, table: str, records: int) -> str:
        """The message for a table that rejected all records of the run."""
        source = self.tables[table].inputs[0].table.name.partition(".")[2]
        every = "the only record" if records == 1 else f"every one of the {records:,} records"
        return (
            f"{source}: {every} of this run is in quarantine, and nothing of it in {table}. Does "
            f"{getattr(self.settings, source)} hold {source}? See why with: "
            f"python lakehouse.py quarantine list --lake {self.settings.lake}"
        )

    def _unless_changed(self, shared: RunContext, known: Facts, batch: Batch) -> State | None:
        """The state to publish; None when a file changed after it was listed: it may be half read."""
        files = [piece.file.listed for piece in batch]
        try:
            state = batches.take_in(shared, known, batch)
        except Exception as error:
            is_ours = isinstance(error, LakehouseError) and not isinstance(error, Unreadable)
            if is_ours or not changed_since(files, self._places):
                raise
            return None
        return None if changed_since(files, self._places) else state

    def _commit(self, owner: Owner, shared: RunContext, state: State) -> None:
        shared.heads.check()
        shared.heads.store.clear_scratch()  # before the publish, which flushes the whole lake to disk
        publish(owner, self.store, state)
        self.progress.published(state)
        for name, (records, texts) in state.lost.items():
            self.progress.note(f"warning: {lost_text(name, records, texts)}")

    def _without_changed(self, batch: Batch, report: Report) -> Batch:
        changed = {f.uri for f in changed_since((p.file.listed for p in batch), self._places)}
        for piece in batch:
            file = piece.file.listed
            if file.uri in changed:
                why = "changed or went away while the run was reading; the next run lists it anew."
                report.failed.append(BadFile(file.source, file.path, file.uri, file.signature, why))
        return tuple(p for p in batch if p.file.listed.uri not in changed)

    def _recovered(self, owner: Owner, damaged: DamagedTables) -> list[State]:
        """Rebuild tables that a power cut tore, if the sources still have all lost records.

        Raises DamagedTables otherwise.
        """
        known = self.ledger.contents()
        gone = unavailable(self.settings, [known.deliveries[d] for d in damaged.lost])
        if not damaged.torn or gone:
            raise damaged
        self.progress.note("a power cut tore published tables: rebuilding silver and gold from bronze")
        return [self._rebuilt(owner, accept_loss=True)]

    def _full_refresh(self, *, accept_loss: bool) -> Report:
        with claim(self.ledger, "run --full-refresh", self.settings.lease_seconds) as owner:
            known = self.ledger.contents()
            if known.last is None:
                raise UsageError(
                    f"{self.store.root} holds no batch yet, so there is nothing to rebuild. "
                    "Run without --full-refresh first."
                )
            state = self._rebuilt(owner, accept_loss=accept_loss)
            _keep_profile(owner, [state])
        return Report(states=[state])

    def _rebuilt(self, owner: Owner, *, accept_loss: bool) -> State:
        with self._at_work(owner, rebuild=True, accept_loss=accept_loss) as shared:
            state = batches.rebuild(shared, self.ledger.contents(), self.settings.bytes_of_batch)
            self._commit(owner, shared, state)
        return state

    def retry_quarantine(self) -> State | None:
        """Apply the rules to the quarantined records again. Returns the published state, None for no change.

        Raises LeaseHeld, SchemaChanged, UsageError, EngineError, Fenced.
        """
        check_declarations(self.tables)
        known = self.ledger.contents()
        self._require_same_shape(known)
        if new := sorted(self._new_tables(known)):
            raise UsageError(
                f"quarantine retry: {', '.join(new)} is new in the code and not in the lake yet. Fill it "
                "first with: python lakehouse.py run"
            )
        with (
            claim(self.ledger, "quarantine retry", self.settings.lease_seconds) as owner,
            self._at_work(owner) as shared,
        ):
            state = retry(shared, self.ledger.contents(), self.settings.bytes_of_batch)
            if state is not None:
                self._commit(owner, shared, state)
        return state

    @contextmanager
    def _at_work(
        self,
        owner: Owner,
        renames: Mapping[str, Renames] = NONE,
        ahead: int | None = None,
        *,
        rebuild: bool = False,
        accept_loss: bool = False,
    ) -> Iterator[RunContext]:
        """The started engine and the tables as last published. Scratch space is empty before and after.

        Maps the errors of the engine to those of the lake.
        """
        running = engine.started(self.settings, ahead=ahead)
        check_builds(running.spark, self._unproven(rebuild=rebuild))
        heads = rolled_back(
            self.store, self.tables, owner, self.progress, rebuild=rebuild, accept_loss=accept_loss
        )
        shared = RunContext(self.tables, heads, running, self.progress, renames)
        try:
            with running.watched():
                yield shared
        except LakehouseError:
            raise
        except Exception as fault:
            owner.commit([])  # raises Fenced, as the check below: another writer explains the fault better
            table = shared.at
            shared.heads.check(table.name if table else None, running.name)
            is_refusal = is_s3(self.store.root) and explained(fault, self.store.root, self.store.access)
            if table and not is_refusal and (error := layer_error(table, fault, self.store.root)):
                raise error from fault
            raise
        finally:
            heads.store.clear_scratch()

    def _unproven(self, *, rebuild: bool) -> list[Table]:
        """Tables whose current rules have not yet made a published batch."""
        known = self.ledger.contents()
        stored = known.last.fingerprints if known.last else {}
        return [t for n, t in self.tables.items() if stored.get(n) != fingerprints.rules(t) or rebuild]

    def _renames(self) -> dict[str, Renames]:
        """The field names from `log_json_paths`, by source. Only new deliveries need them."""
        place = self.settings.log_json_paths
        if place is None:
            return {}
        writes = [table.write for table in self.tables.values()]
        fields = {write.source: write.fields for write in writes if isinstance(write, Deliver)}
        return {"log_data": read_renames(place, fields["log_data"], self._places)}

    def unpublished(self, known: Facts) -> list[str]:
        """Tables with unpublished writes of a killed run; none while another process holds the lease."""
        return [] if is_held(self.ledger.lease()) else unpublished(self.store, self.tables, known)

    def _find(self, known: Facts, retry_bad: bool, again: str | None) -> Work:
        return find_work(
            self.settings,
            known,
            retry_bad=retry_bad,
            again=again,
            marks=self.marks(known),
            seen=self._seen,
            on_progress=self.progress.listing,
        )

    def marks(self, known: Facts) -> dict[str, str]:
        """By source, the mark of the field names that a setting gives for it.

        Empty before the first batch: only known files can have been taken in with other names.
        """
        if known.last is None:
            return {}
        try:
            return {source: mark_of(renames) for source, renames in self._renames().items()}
        except (ConfigError, StorageError):
            return {}  # raised later, if there are files to take in

    def _require_source(self, again: str | None, *, full_refresh: bool) -> None:
        if again is None:
            return
        if full_refresh:
            raise UsageError(
                "--again and --full-refresh: a rebuild reads bronze, and no files. Run them in turn."
            )
        if again not in SOURCES or getattr(self.settings, again) is None:
            sources = [source for source in SOURCES if getattr(self.settings, source) is not None]
            raise UsageError(
                f"--again: {again!r} is no source of this lake{nearest(again, sources) or '.'} "
                f"The sources given are: {', '.join(sources) or 'none'}."
            )

    def _new_tables(self, known: Facts) -> set[str]:
        return batches.new_tables(self.tables, known)

    def _require_same_shape(self, known: Facts) -> None:
        if changed := changed_shapes(self.tables, known):
            raise SchemaChanged(
                f"{self.store.root}: the code declares {', '.join(changed)} with another schema or key "
                f"than the lake has (batch {known.last.batch_id if known.last else 0}). Rebuild silver "
                "and gold from bronze with: python lakehouse.py run --full-refresh"
            )


def _keep_profile(owner: Owner, states: Sequence[State]) -> None:
    """Store the current profile, if any, with the last batch of the run."""
    if states and (profile := profiling.current()) is not None:
        owner.commit([profile_row(states[-1].batch_id, profile.as_json())])
