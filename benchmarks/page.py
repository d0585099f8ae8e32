"""The results as tables and as a picture, for docs/performance.md."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.svg"
OURS = "lakehouse on Sail"
AGAINST = {
    "first load": "DuckDB script",
    "one more day": "Polars + delta-rs",
    "nothing new": "import deltalake, pyarrow",
}


def results(name: str) -> dict[str, Any] | None:
    """What a benchmark left, None when it never ran."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def machine(found: Mapping[str, Any]) -> str:
    """The machine in a sentence."""
    m = found["machine"]
    memory = m["memory_bytes"] / 1024**3
    return (
        f"{m['at'][:10]}, {m['cores']} cores, {memory:.0f} GiB, {m['system']}, Python {m['python']}; "
        f"load average before the run {m['load_before']:.1f}."
    )


def case_rows(found: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """Case, who, median seconds, their spread, ratio to whom we compare with, CPU, peak memory."""
    medians = {(c["name"], c["who"]): c["median"] for c in found["cases"]}
    for case in found["cases"]:
        against = medians.get((case["name"], AGAINST.get(case["name"], "")))
        ratio = f"{case['median'] / against:.2f}" if against else ""
        spread = f"{min(case['seconds']):.2f} to {max(case['seconds']):.2f}"
        cpu, peak = statistics.median(case["cpu"]), case["peak_bytes"] / 1e6
        yield case["name"], case["who"], f"{case['median']:.2f}", spread, ratio, f"{cpu:.1f}", f"{peak:,.0f}"


CASE_HEADER = ("case", "who", "median s", "spread s", "ratio", "CPU s", "peak MB")


def question_rows(found: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """Question, our milliseconds, DuckDB's on the same files, ratio."""
    for name, took in {"one month as Arrow": found["month"], **found["questions"]}.items():
        ours, bare = (statistics.median(seconds) * 1000 for seconds in took.values())
        yield name, f"{ours:.0f}", f"{bare:.0f}", f"{ours / bare:.2f}"


QUESTION_HEADER = ("question", "lakehouse ms", "bare library ms", "ratio")


def draw(found: Mapping[str, Any]) -> None:
    """The loads as bars, by case and who, into docs/benchmarks.svg."""
    import altair as alt
    import polars as pl

    shown = [c for c in found["cases"] if c["name"] in ("first load", "one more day")]
    rows = pl.DataFrame([{"case": c["name"], "who": c["who"], "seconds": c["median"]} for c in shown])
    bars = (
        alt.Chart(rows)
        .mark_bar(color="#0072B2")
        .encode(
            x=alt.X("seconds:Q", title="median seconds, whole process from cold"),
            y=alt.Y("who:N", sort="x", title=None),
        )
    )
    labels = bars.mark_text(align="left", dx=4, color="black").encode(
        text=alt.Text("seconds:Q", format=".1f")
    )
    chart = (
        alt.layer(bars, labels)
        .properties(width=520)
        .facet(row=alt.Row("case:N", title=None))
        .resolve_scale(x="independent", y="independent")
    )
    chart.configure_axis(labelFontSize=12, labelLimit=240).save(PICTURE)


def draw_all() -> None:
    """The picture anew; the tables are generated with the other parts of the docs."""
    if found := results("bench"):
        draw(found)
