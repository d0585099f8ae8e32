"""The results as tables and as a picture, for docs/performance.md."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import large, reading, scale

RESULTS = Path(__file__).parent / "results"
COMMANDS = {
    "bench": "make bench",
    "large": "make bench-large",
    "cluster": "make dist && .venv/bin/python -m benchmarks --cluster",
}
NOT_YET = "Not measured yet: `{}` does it."
PICTURED = "![Seconds of a first load and of one more day, by who does it](benchmarks.svg)"
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
        against = medians.get(_against(case["name"], case["who"]))
        ratio = f"{case['median'] / against:.2f}" if against else ""
        spread = f"{min(case['seconds']):.2f} to {max(case['seconds']):.2f}"
        cpu, peak = statistics.median(case["cpu"]), case["peak_bytes"] / 1e6
        yield case["name"], case["who"], f"{case['median']:.2f}", spread, ratio, f"{cpu:.1f}", f"{peak:,.0f}"


def _against(case: str, who: str) -> tuple[str, str]:
    """Who works on Spark is held against the tuned script, which does everything again for a new day."""
    return (case, "tuned PySpark") if "Spark" in who else (case, AGAINST.get(case, ""))


CASE_HEADER = ("case", "who", "median s", "spread s", "ratio", "CPU s", "peak MB")


def question_rows(found: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """Question, our milliseconds, DuckDB's on the same files, ratio."""
    for name, took in {"one month as Arrow": found["month"], **found["questions"]}.items():
        ours, bare = (statistics.median(seconds) * 1000 for seconds in took.values())
        yield name, f"{ours:.0f}", f"{bare:.0f}", f"{ours / bare:.2f}"


QUESTION_HEADER = ("question", "lakehouse ms", "bare library ms", "ratio")


LOAD_HEADER = (
    "lake",
    "first load s",
    "peak MB",
    "one more day s",
    "spread s",
    "CPU s",
    "read MB",
    "written MB",
)


def load_rows(found: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """Each size of lake: how long it took to load, and what the same day onto it costs."""
    for lake, load in found["loads"].items():
        day = found["one more day"][lake]
        spread = f"{min(day['seconds']):.2f} to {max(day['seconds']):.2f}"
        moved = (f"{day[f'{verb}_bytes'] / 1e6:,.0f}" for verb in ("read", "written"))
        yield (
            lake,
            f"{load['median']:.1f}",
            f"{load['peak_bytes'] / 1e6:,.0f}",
            f"{day['median']:.2f}",
            spread,
            f"{statistics.median(day['cpu']):.2f}",
            *moved,
        )


PART_HEADER = ("table", "step", "seconds", "CPU s", "rows", "files", "MB")
LEAST = 0.01  # of the whole: what takes less is summed up


def part_rows(profile: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """The parts of a profile that take a hundredth of it or more; the rest in one row, then the whole."""
    small = [0.0, 0.0]
    for part in profile["parts"]:
        if max(part["seconds"] / profile["seconds"], part["cpu"] / profile["cpu"]) < LEAST:
            small = [small[0] + part["seconds"], small[1] + part["cpu"]]
            continue
        written = (f"{part[n]:,}" if part[n] is not None else "" for n in ("rows", "files"))
        size = f"{part['bytes'] / 1e6:,.1f}" if part["bytes"] is not None else ""
        took = f"{part['seconds']:.2f}", f"{part['cpu']:.2f}"
        yield part["table"] or "", part["step"], *took, *written, size
    yield "", "each of the others below 1 %", f"{small[0]:.2f}", f"{small[1]:.2f}", "", "", ""
    yield "", "in all", f"{profile['seconds']:.2f}", f"{profile['cpu']:.2f}", "", "", ""


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


Table = Callable[[Iterable[str], Iterable[Iterable[str]]], str]


def parts(table: Table) -> dict[str, Callable[[], str]]:
    """The generated parts of docs/performance.md; `table` writes a header and rows as Markdown."""
    return {
        "bench": lambda: _of(
            "bench", lambda f: f"{machine(f)}\n\n{table(CASE_HEADER, case_rows(f))}\n\n{PICTURED}"
        ),
        "bench-reading": lambda: _of("bench", lambda f: table(QUESTION_HEADER, question_rows(f))),
        "bench-profiles": lambda: _of("bench", lambda f: _profiles(f, table), "costs"),
        "bench-scale": lambda: _of("bench", lambda f: table(scale.HEADER, scale.rows(f)), "costs"),
        "bench-cluster": lambda: _of("cluster", lambda f: _cluster(f, table)),
        "bench-large": lambda: _of("large", lambda f: _large(f, table)),
    }


def _of(name: str, said: Callable[[dict[str, Any]], str], part: str = "machine") -> str:
    found = results(name)
    return said(found) if found and part in found else NOT_YET.format(COMMANDS[name])


def _profiles(found: Mapping[str, Any], table: Table) -> str:
    profiles = found["costs"]["profiles"].items()
    return "\n\n".join(f"**{name}**\n\n{table(PART_HEADER, part_rows(p))}" for name, p in profiles)


def _cluster(found: Mapping[str, Any], table: Table) -> str:
    one = found["workers"]["1"]["median"]
    rows = (
        (workers, f"{f['median']:.1f}", f"{f['median'] / one:.2f}", f"{statistics.median(f['cpu']):.0f}")
        for workers, f in found["workers"].items()
    )
    return f"{machine(found)}\n\n{table(CLUSTER_HEADER, rows)}"


CLUSTER_HEADER = ("workers of one core", "first load s", "ratio", "CPU s of the driver")


def _large(found: Mapping[str, Any], table: Table) -> str:
    small, one_file, of = found["after small batches"], found["one large file"], found["months in one file"]
    also = (
        f"One more day after {large.SMALL_BATCHES} small batches: {small['median']:.2f} s. "
        f"{of} million events in one file: {one_file['median']:.0f} s, "
        f"at most {one_file['peak_bytes'] / 1e9:.2f} GB of memory. A month of a lake of {of} as Arrow: "
        f"{reading.median_ratio(found['month']):.2f} times a bare delta-rs read."
    )
    return f"{machine(found)}\n\n{table(LOAD_HEADER, load_rows(found))}\n\n{also}"
