"""Verify: all checks of the state that was the last published one at the start.

Reading needs no lease, because a run does not change the files of a published state.
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
    """Check these tables, by default all; a bare name means gold.

    The verdict reports damage, and a rebuild that lacks room to be written. Raises UsageError for an
    unknown table and for a lake without a batch, EngineError when the engine does not start.
    """
    opened = read_ledger(context)
    if isinstance(opened, Check):
        return Verdict(None, [opened])
    ledger, known = opened
    published = [name for name in context.tables if name in context.last_of(known).tables]
    selected = [_named(name, published) for name in names] or published
    work = _Verifying(context, engine, ledger, known, selected, is_whole=not names)
    checks, refused = list[Check](), None
    try:
        for check in work.checks():
            checks.append(check)
    except (NotWritable, DiskFull) as error:  # the other questions need no room to write
        checks.append(Check("rebuild", None, False, f"not compared with a rebuild: {error}"))
        refused = error
    return Verdict(context.last_of(known).batch_id, checks, refused)


def _named(name: str, published: Sequence[str]) -> str:
    full = name if "." in name else f"gold.{name}"
    if full not in published:
        raise UsageError(f"verify: the lake holds no table {name!r}{nearest_table(name, published) or '.'}")
    return full


@dataclass(frozen=True)
class _Verifying:
    """The checks of one state, for the selected tables."""

    context: LakeContext
    engine: Callable[[], Engine]
    ledger: Ledger
    known: Facts
    wanted: Sequence[str]
    is_whole: bool

    def checks(self) -> Iterator[Check]:
        """All checks, from the cheapest to the most expensive."""
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
        """Whether another process writes to the lake, or has published since the start."""
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
        """Tables whose rows other rules made than the code has now, with the reason."""
        tables = self.context.tables
        changed = {n: self._since(n) for n in changed_rules(tables, self.known)}
        changed |= dict.fromkeys(changed_shapes(tables, self.known), "another schema or key")
        for table in in_order(tables):  # a table made from an outdated one is outdated
            for source in table.inputs:
                if source.table.name in changed:
                    changed.setdefault(table.name, f"made from {source.table.name}")
        return changed

    def _since(self, name: str) -> str:
        stored = self._last.fingerprints[name]
        if stored != fingerprints.SEVERAL:
            return f"rules changed since batch {self._last.batch_id}"
        mixed = [s.batch_id for s in self.known.batches.values() if s.fingerprints.get(name) == stored]
        return f"rules changed with batch {min(mixed)}"

    def _rules(self) -> Iterator[Check]:
        """Notes about outdated tables, which are not damage."""
        for name in self.wanted:
            if name in self._outdated:
                note = f"{self._outdated[name]}; compared with what the rules of now make"
                yield Check("rules", name, True, note)

    def _rebuild(self, connection: duckdb.DuckDBPyConnection, reads: Mapping[str, Read]) -> Iterator[Check]:
        if not is_sound(self.known):
            yield Check("rebuild", None, False, "not compared with a rebuild: the ledger is damaged")
            return
        settings = self.context.settings
        published = {n: t for n, t in self.context.tables.items() if n in self._last.tables}
        work = Rebuilding(
            self.context.store,
            published,
            self.known,
            self.engine(),
            self.context.progress,
            settings.bytes_of_batch,
        )
        yield from check_rebuilt(work, connection, reads, self._outdated)
