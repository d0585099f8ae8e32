"""The page: facts and charts in one HTML file. Every text is escaped by the template."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from runtime.errors import UsageError
from runtime.show.report.charts import bars_over_batches, drawn
from runtime.show.report.facts import OUTCOMES, Facts
from runtime.text.amounts import size_text, when
from runtime.text.values import as_text, visible

if TYPE_CHECKING:
    from jinja2 import Template

    from runtime.read.diff import Diff
    from runtime.read.snapshot import Snapshot

LONGEST = 300  # characters of a value; one long title must not fill the page
SHOWN_STATES = 60  # batches drawn and listed; a year of hourly batches would fill the page


def report_page(
    snapshot: Snapshot,
    history: Sequence[dict[str, Any]],
    diff: Callable[[int, int], Diff],
    lost_to_others: Sequence[str],
) -> str:
    """The report on a snapshot, as HTML; `history`, `diff` and `lost_to_others` are those of its lake.

    Raises UsageError where the extra `report` is not installed.
    """
    facts = Facts(snapshot, history, diff, lost_to_others)
    return _template().render(
        facts=facts,
        lake=snapshot.store.root,
        shown=facts.states[-SHOWN_STATES:],
        charts=list(_batch_charts(facts.states[-SHOWN_STATES:])),
        insights=[(q, rows, drawn(q, rows)) for q, rows in facts.insights],
        outcomes=OUTCOMES,
    )


def _template() -> Template:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise UsageError(
            "report: the page needs the packages of the extra `report`, which are not installed: "
            "pip install 'sparkify-lakehouse[report]'"
        ) from None
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "n": _number,
        "size": size_text,
        "when": _when,
        "shown": _shown,
        "change": _change,
    }
    return environment.from_string(files("runtime.show.report").joinpath("page.html.j2").read_text("utf-8"))


def _batch_charts(states: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Title and SVG of each chart over the batches."""
    records = [
        {"batch": s["batch_id"], "outcome": o, "rank": rank, "n": s["records"].get(o, 0)}
        for s in states
        for rank, o in enumerate(OUTCOMES)
    ]
    # Their own chart: often too few to be visible next to the accepted ones.
    lost = [r for r in records if r["outcome"] != "accepted"]
    files_ = [{"batch": s["batch_id"], "n": sum(s["files"].values())} for s in states]
    seconds = [{"batch": s["batch_id"], "n": s["seconds"]} for s in states]
    for title, rows, unit, colour in (
        ("Records a batch, by outcome", records, "records", "outcome"),
        ("Of them not accepted", lost if any(r["n"] for r in lost) else [], "records", "outcome"),
        ("Files a batch", files_, "files", None),
        ("Seconds a batch took", seconds, "seconds", None),
    ):
        if rows:
            yield title, bars_over_batches(title, rows, unit, colour)


def _number(value: int) -> str:
    return f"{value:,}"


def _when(at: datetime | str | None) -> str:
    if at is None:
        return "never"
    return when(at if isinstance(at, str) else at.isoformat())


def _shown(value: Any, longest: int = LONGEST) -> str:
    """A value as text, cut to `longest`; control and bidirectional characters are escaped."""
    if (text := as_text(value)) is None:
        return "NULL"
    return visible(text) if len(text) <= longest else f"{visible(text[:longest])}… ({len(text):,} characters)"


def _change(counts: dict[str, int]) -> str:
    signs = {"inserted": "+", "updated": "~", "deleted": "−"}
    return " ".join(f"{sign}{counts[name]:,}" for name, sign in signs.items() if counts[name]) or "unchanged"
