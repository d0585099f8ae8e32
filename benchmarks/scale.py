"""From what a million events cost to a billion a day: arithmetic on a benchmark's results, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runtime.settings.model import BATCH_BYTES

A_DAY = 1_000_000_000
SECONDS_A_DAY = 86_400
FILE_BYTES = 128 * 1024**2  # the size that sources are assumed to deliver at that scale
BY_EVENT = ("bronze.log_data", "silver.events", "gold.songplays", "gold.time")
# Amazon S3 Standard, us-east-1, list prices in dollars: per 1,000 requests, per GB and month.
PRICES = {"PUT": 0.005, "LIST": 0.005, "GET": 0.0004, "HEAD": 0.0004, "DELETE": 0.0}
STORED_GB_MONTH = 0.023

HEADER = ("what", "measured", "at a billion events a day")


def rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What was measured, and what it comes to."""
    sizes = found["costs"]["sizes"]
    events, per_event = sizes["events"], sizes["log_bytes"] / sizes["events"]
    arriving = per_event * A_DAY
    files, batches = arriving / FILE_BYTES, arriving / BATCH_BYTES["spark"]
    yield "logs arriving", f"{per_event:.0f} bytes an event", f"{gigabytes(arriving)} in {files:,.0f} files"
    yield "batches of 1 GiB", "", f"{batches:,.0f}, one every {SECONDS_A_DAY / batches:,.0f} s"
    stored = 0.0
    for name in BY_EVENT:
        table = sizes["tables"][name]
        grown = table["bytes"] / events * A_DAY
        stored += grown
        rows_ = min(table["rows"] / events * A_DAY, bound(name))
        yield (
            f"`{name}` grows by",
            f"{table['rows'] / events:.2f} rows and {table['bytes'] / events:.0f} bytes an event",
            f"{rows_ / 1e6:,.0f} million rows, {gigabytes(grown)}",
        )
    price = stored / 1e9 * STORED_GB_MONTH * 30
    yield "all of it, kept a month", "", f"{stored * 30 / 1e12:.1f} TB, ${price:,.0f} a month in S3"
    yield from _time(found, arriving)
    yield from _ledger(sizes, files, batches)
    yield from _requests(found["costs"]["requests"], batches)


def bound(name: str) -> float:
    """A day has no more instants than milliseconds."""
    return SECONDS_A_DAY * 1000 if name == "gold.time" else float("inf")


def _time(found: Mapping[str, Any], arriving: float) -> Iterator[tuple[str, str, str]]:
    for case in found["cases"]:
        if case["name"] == "first load" and case["who"].startswith("lakehouse"):
            cpu = sum(case["cpu"]) / len(case["cpu"])
            cores = cpu / found["events"] * A_DAY / SECONDS_A_DAY
            rate = found["events"] / cpu
            yield (
                f"processor time, {case['who'].removeprefix('lakehouse ')}",
                f"{rate:,.0f} events a second and core",
                f"{cores:.1f} cores busy all day",
            )


def _ledger(sizes: Mapping[str, Any], files: float, batches: float) -> Iterator[tuple[str, str, str]]:
    by_file, by_batch = sizes["ledger"] / sizes["files"], sizes["day"]["ledger"]
    yield (
        "the ledger grows by",
        f"{by_file:.0f} bytes a file, {by_batch / 1000:.1f} kB a batch",
        f"{(by_file * files + by_batch * batches) / 1e6:.1f} MB",
    )


def _requests(counted: Mapping[str, int] | None, batches: float) -> Iterator[tuple[str, str, str]]:
    if counted is None:
        return
    said = ", ".join(f"{number} {verb}" for verb, number in sorted(counted.items()))
    price = sum(PRICES.get(verb, PRICES["PUT"]) * number / 1000 for verb, number in counted.items())
    yield "S3 requests of a batch", said, f"${price * batches:,.2f} for {batches:,.0f} batches"


def gigabytes(size: float) -> str:
    """A size in GB."""
    return f"{size / 1e9:,.0f} GB"
