"""Verify: every question about the state that was published last when it began.

No lease is needed to read: the files of a published state stay as they are, whatever a run does meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runtime.engine import Engine
from runtime.errors import DiskFull, NotWritable, UsageError
from runtime.ledger.drift import changed_rules, changed_shapes
from runtime.ledger.facts import Facts, State
from runtime.ledger.lease import is_held
from runtime.ledger.ledger import Ledger
from runtime.ledger.session import LakeContext
from runtime.table import fingerprints, in_order
from runtime.text.nearest import nearest_table
from runtime.verify import contents
from runtime.verify.files import Read, check_files
from runtime.verify.histories import check_history
from runtime.verify.ledger import check_ledger, is_sound, read_ledger
from runtime.verify.reading import reader
from runtime.verify.rebuilding import Rebuilding, check_rebuilt
from runtime.verify.verdict import Check, Verdict

if TYPE_CHECKING:
    import duckdb


def verify(context: LakeContext, engine: Callable[[], Engine], names: Sequence[str] = ()) -> Verdict:
    """Check the tables named, all by default; a bare name means gold.

    Damage is told in the verdict, and where a rebuild has no room to be written. Raises UsageError for an
    unknown table and for a lake without a batch, EngineError when the engine does not start.
    """
    found = read_ledger(context)
    if isinstance(found, Check):
        return Verdict(None, [found])
    ledger, known = found
    there = [name for name in context.tables if name in context.last_of(known).tables]
    wanted = [_named(name, there) for name in names] or there
    work = _Verifying(context, engine, ledger, known, wanted, is_whole=not names)
    checks, refused = list[Check](), None
    try:
        for check in work.checks():
            checks.append(check)
    except (NotWritable, DiskFull) as error:  # the other questions need no room to write
        checks.append(Check("rebuild", None, False, f"not compared with a rebuild: {error}"))
        refused = error
    return Verdict(context.last_of(known).batch_id, checks, refused)


def _named(name: str, there: Sequence[str]) -> str:
    full = name if "." in name else f"gold.{name}"
    if full not in there:
        raise UsageError(f"verify: the lake holds no table {name!r}{nearest_table(name, there) or '.'}")
    return full


@dataclass(frozen=True)
class _Verifying:
    """One state, and the tables of it that are asked about."""

    context: LakeContext
    engine: Callable[[], Engine]
    ledger: Ledger
    known: Facts
    wanted: Sequence[str]
    is_whole: bool

    def checks(self) -> Iterator[Check]:
        """From the cheapest question to the dearest."""
        yield check_ledger(self.ledger, self.known)
        marks: dict[str, Mapping[str, str]] = {}
        for name in self.wanted:
            checks, marks[name] = check_history(self.context.store, name, self.known, is_busy=self._is_busy)
            yield from checks
        with reader(self.context.store) as connection:
            reads: dict[str, Read] = {}
            for name in self.wanted:
                version = self._last.tables[name]["version"]
                table = self.context.tables[name]
                check, read = check_files(self.context.store, connection, table, version, marks[name])
                yield check
                if read is not None:
                    reads[name] = read
            yield from self._agreement(connection, reads)
            yield from self._rules()
            yield from self._rebuild(connection, reads)

    @property
    def _last(self) -> State:
        return self.context.last_of(self.known)

    def _is_busy(self) -> bool:
        """Whether someone writes to the lake, or has published since we began."""
        now = self.context.ledger()
        return is_held(now.lease()) or now.version != self.ledger.version

    def _agreement(self, connection: duckdb.DuckDBPyConnection, reads: Mapping[str, Read]) -> Iterator[Check]:
        others = {name: read.stored for name, read in reads.items()}
        for stored in others.values():
            yield contents.check_keys(connection, stored)
            yield from contents.check_references(connection, stored, others)
            yield from contents.check_records(connection, stored, others)
        if self.is_whole and is_sound(self.known):
            yield from contents.check_counts(connection, self.known, others)

    @cached_property
    def _outdated(self) -> Mapping[str, str]:
        """Tables that other rules made than the code has now, with the reason."""
        tables = self.context.tables
        changed = {n: self._since(n) for n in changed_rules(tables, self.known)}
        changed |= dict.fromkeys(changed_shapes(tables, self.known), "another schema or key")
        for table in in_order(tables):  # what is made from them is as old as they are
            for given in table.inputs:
                if given.table.name in changed:
                    changed.setdefault(table.name, f"made from {given.table.name}")
        return changed

    def _since(self, name: str) -> str:
        stored = self._last.fingerprints[name]
        if stored != fingerprints.SEVERAL:
            return f"rules changed since batch {self._last.batch_id}"
        mixed = [s.batch_id for s in self.known.batches.values() if s.fingerprints.get(name) == stored]
        return f"rules changed with batch {min(mixed)}"

    def _rules(self) -> Iterator[Check]:
        """Notes, no damage."""
        for name in self.wanted:
            if name in self._outdated:
                found = f"{self._outdated[name]}; compared with what the rules of now make"
                yield Check("rules", name, True, found)

    def _rebuild(self, connection: duckdb.DuckDBPyConnection, reads: Mapping[str, Read]) -> Iterator[Check]:
        if not is_sound(self.known):
            yield Check("rebuild", None, False, "not compared with a rebuild: the ledger is damaged")
            return
        settings = self.context.settings
        there = {n: t for n, t in self.context.tables.items() if n in self._last.tables}
        work = Rebuilding(
            self.context.store,
            there,
            self.known,
            self.engine(),
            self.context.progress,
            settings.bytes_of_batch,
        )
        yield from check_rebuilt(work, connection, reads, self._outdated)
