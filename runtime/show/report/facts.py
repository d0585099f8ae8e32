"""The data of the report, read from one snapshot and its history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from runtime.show.report.questions import QUESTIONS, Question

if TYPE_CHECKING:
    from runtime.read.diff import Change, Diff, TableDiff
    from runtime.read.snapshot import Snapshot

OUTCOMES = ("accepted", "duplicate", "superseded", "quarantined")
SAMPLES = 3  # sample records per reason
OPTIMIZED = "optimize"  # the kind of a state that only merged files
SHOWN_ROWS = 5  # changed rows per table
LOOKED_AT = 1000  # changed rows read per table to find some that are not inserts
LONGEST_RAW = 4_000  # characters of a raw record; the rejected field may be the last one


@dataclass(frozen=True)
class Facts:
    """The facts of one report. Every value is plain Python; texts are as delivered, not yet escaped."""

    snapshot: Snapshot
    history: Sequence[dict[str, Any]]  # as `Lakehouse.history` returns it
    diff: Callable[[int, int], Diff]
    lost_to_others: Sequence[str]  # notes on records superseded by a record of another owner

    @cached_property
    def states(self) -> list[dict[str, Any]]:
        """This state and those it is based on, oldest first, in the form of `Lakehouse.history`."""
        by_id = {state["batch_id"]: state for state in self.history}
        chain: list[dict[str, Any]] = []
        at: int | None = self.snapshot.batch_id
        while at is not None:
            chain.append(by_id[at])
            at = by_id[at]["base"]
        return chain[::-1]

    @property
    def state(self) -> dict[str, Any]:
        return self.states[-1]

    @cached_property
    def records(self) -> dict[str, int]:
        """Counts of delivered records and of each outcome, over all states."""
        return {o: sum(s["records"].get(o, 0) for s in self.states) for o in ("delivered", *OUTCOMES)}

    @cached_property
    def files(self) -> dict[str, int]:
        """Files with records in bronze, by source; a file split over several batches counts once."""
        counted = "select count(distinct _source_file) as n from {}"
        names = [name for name in self.state["tables"] if name.startswith("bronze.")]
        return {name.partition(".")[2]: self._rows(counted.format(name))[0]["n"] for name in names}

    @property
    def lost(self) -> dict[str, int]:
        """Counts of records not accepted, by outcome, without zeros."""
        return {o: n for o, n in self.records.items() if n and o not in ("delivered", "accepted")}

    @property
    def layers(self) -> dict[str, list[dict[str, Any]]]:
        """By layer, each table with its `name`, `rows`, `files`, `bytes`, `version` and `past` changes."""
        layers: dict[str, list[dict[str, Any]]] = {"bronze": [], "silver": [], "gold": []}
        for name, sizes in self.state["tables"].items():
            table = self.snapshot.tables[name]
            layers[table.layer].append({**sizes, "name": name, "table": table, "past": self._past(name)})
        return layers

    def _past(self, name: str) -> list[dict[str, Any]]:
        """The last states in which a table changed, newest first."""
        moved = []
        for state in reversed(self.states):
            entry = state["tables"].get(name)
            if entry and (entry["inserted"] or entry["updated"] or entry["deleted"]):
                moved.append({"batch_id": state["batch_id"], "at": state["at"], **entry})
        return moved[:SHOWN_ROWS]

    @cached_property
    def freshness(self) -> dict[str, Any]:
        """`taken_in`: time of the last batch with files; `newest`: time of the newest event; UTC or None."""
        newest = self._rows("select max(event_at) as newest from silver.events")[0]["newest"]
        taken_in = [datetime.fromisoformat(s["at"]) for s in self.states if any(s["files"].values())]
        return {"taken_in": max(taken_in, default=None), "newest": newest}

    @cached_property
    def reasons(self) -> list[dict[str, Any]]:
        """By reason of rejection: `reason`, `records` (a count) and `samples`."""
        counted = self._rows(
            "select reason, count(*) as records "
            "from (select unnest(reasons) as reason from silver.quarantine) "
            "group by reason order by records desc, reason"
        )
        sampled = self._rows(
            f"""select reason, _source_file as file, _source_line as line, left(raw, {LONGEST_RAW}) as raw,
                length(raw) as characters
            from (select *, unnest(reasons) as reason from silver.quarantine)
            qualify row_number() over (partition by reason order by _delivery, _source_line) <= {SAMPLES}
            order by _delivery, _source_line"""
        )
        return [{**c, "samples": [s for s in sampled if s["reason"] == c["reason"]]} for c in counted]

    @cached_property
    def insights(self) -> list[tuple[Question, list[dict[str, Any]]]]:
        """The listening questions with a non-empty answer, each with its rows."""
        answers = ((question, self._rows(question.sql)) for question in QUESTIONS)
        return [(question, rows) for question, rows in answers if rows]

    @cached_property
    def previous(self) -> int | None:
        """The batch before the last one that changed rows, None if vacuum removed it."""
        moved = [n for n, s in enumerate(self.states) if s["kind"] != OPTIMIZED]
        before = self.states[moved[-1] - 1] if moved and moved[-1] else None
        return before["batch_id"] if before and not before["vacuumed_at"] else None

    @cached_property
    def changes(self) -> Mapping[str, dict[str, Any]]:
        """Changes of gold since `previous`, by table: `counts`, and the first updated or deleted `rows`."""
        if self.previous is None:
            return {}
        differing = self.diff(self.previous, self.snapshot.batch_id)
        changes = {}
        for name, table in differing.tables.items():
            if name.startswith("gold.") and not table.is_empty:
                changes[name] = {"counts": table.counts, "rows": _not_new(table)}
        return changes

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        return list(self.snapshot.sql(sql).to_pylist())


def _not_new(table: TableDiff) -> list[Change]:
    """The first updated or deleted rows."""
    if not (table.counts["updated"] or table.counts["deleted"]):
        return []
    return list(islice((c for c in table.rows(LOOKED_AT) if c.change != "inserted"), SHOWN_ROWS))
