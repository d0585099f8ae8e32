"""The records that broke a rule: which ones, why, and where they came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.errors import UsageError
from runtime.ledger.facts import Facts, State
from runtime.ledger.history import reasons
from runtime.ledger.progress import Progress, Silent
from runtime.ledger.session import LakeContext
from runtime.run.runner import Runner
from runtime.run.steps.quarantine import collecting
from runtime.run.steps.silver import READABLE
from runtime.table import Upsert
from runtime.text.nearest import nearest

if TYPE_CHECKING:
    from runtime.read.snapshot import Snapshot

SHOWN = 20

BY_REASON = """
    select reason, count(*) as records, list_sort(list_distinct(list(source))) as sources,
           list_sort(list_distinct(list(_batch_id))) as batches
    from (select unnest(reasons) as reason, source, _batch_id from {table})
    group by reason order by records desc, reason
"""
RECORDS = """
    select source, _source_file as file, _source_line as line, _batch_id as batch_id, reasons, raw
    from {table}
    where (len($reasons) = 0 or list_has_any(reasons, $reasons)) and ($batch is null or _batch_id = $batch)
    order by _delivery, _source_line limit $limit
"""


@dataclass(frozen=True)
class Retried:
    """The outcome of a retry. `state` is what was published, None when nothing changed.

    `left`: records still in quarantine; `relabelled`: those of them that now have other reasons.
    """

    left: int
    relabelled: int
    state: State | None

    def as_json(self) -> dict[str, Any]:
        """The shape that `quarantine retry --format json` prints."""
        records = self.state.records if self.state else {}
        outcomes = {name: records.get(name, 0) for name in ("accepted", "duplicate", "superseded")}
        return {
            "batch_id": self.state.batch_id if self.state else None,
            "records": {**outcomes, "quarantined": self.left, "relabelled": self.relabelled},
        }


@dataclass(frozen=True)
class Quarantine:
    """The rejected records of a lake, as last published."""

    context: LakeContext
    at: Callable[[], Snapshot]  # returns the lake as last published

    def reasons(self) -> list[dict[str, Any]]:
        """By reason, the most frequent first: `records`, `sources`, `batches`, `first`, `last`.

        A record with several reasons counts under each. `first` and `last` are the times at which the first
        and the last of those batches were published.
        """
        at = {number: state.published_at for number, state in self._known().batches.items()}
        rows = self._query(BY_REASON, {})
        return [
            {**row, "first": at.get(row["batches"][0]), "last": at.get(row["batches"][-1])} for row in rows
        ]

    def records(self, *reasons: str, batch: int | None = None, limit: int = SHOWN) -> list[dict[str, Any]]:
        """Records with any of the reasons, in order of delivery: source, file, line, batch_id, reasons, raw.

        `batch`: only records that this batch rejected. Raises UsageError for a reason that is neither a
        rule's nor a record's.
        """
        if unknown := set(reasons) - self._names():
            names = self._names()
            raise UsageError(
                f"quarantine: no rule is called {min(unknown)!r}{nearest(min(unknown), names) or '.'} "
                f"The reasons are: {', '.join(sorted(names))}."
            )
        return self._query(RECORDS, {"reasons": list(reasons), "batch": batch, "limit": limit})

    def retry(self, *, progress: Progress | None = None) -> Retried:
        """Judge the records again by the current rules; ingest those that pass.

        Raises LeaseHeld, SchemaChanged, UsageError, EngineError, Fenced.
        """
        count = self._rows()
        runner = Runner(self.context.settings, self.context.tables, progress or Silent())
        state = runner.retry_quarantine() if count else None
        left = self._rows() if state is None else state.tables[self._table]["rows"]
        return Retried(left, state.tables[self._table]["updated"] if state else 0, state)

    def _known(self) -> Facts:
        facts = self.context.ledger().contents()
        self.context.last_of(facts)
        return facts

    @property
    def _table(self) -> str:
        return collecting(self.context.tables).name

    def _rows(self) -> int:
        return self.context.last_of(self._known()).tables[self._table]["rows"]

    def _names(self) -> set[str]:
        """The names of all rules, and of removed rules that rejected a record."""
        judged = [t for t in self.context.tables.values() if isinstance(t.write, Upsert)]
        return {
            READABLE,
            *(name for t in judged for name in t.expectations),
            *reasons(self._known()),
        }

    def _query(self, statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        snapshot = self.at()
        rows = snapshot.connection.sql(statement.format(table=self._table), params=dict(values))
        return list(rows.to_arrow_table().to_pylist())
