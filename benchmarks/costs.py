"""What events cost, for the reckoning with a billion a day: bytes, files, ledger, S3 requests, and time
by table and step."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from benchmarks.cases import Workspace
from benchmarks.data import Sources
from benchmarks.processes import run
from lakehouse import Lakehouse
from tests.support.s3_server import S3Server, java
from tests.support.s3_weather import BadWeather

DAYS_IN_BUCKET = 2


def measured(at: Workspace, *, spark: bool) -> dict[str, Any]:
    """All of it. The lakes of the first loads are there, and the day after is delivered to copies."""
    return {
        "sizes": sizes(at),
        "profiles": profiles(at, spark=spark),
        "requests": requests(at) if java() else None,
    }


def profiles(at: Workspace, *, spark: bool) -> dict[str, Any]:
    """Where the time goes: a first load, and the day after."""
    found = {}
    for engine in ("sail", "spark") if spark else ("sail",):
        who = f"lake on {engine}"
        at.empty(f"{who} profiled")()
        load = at.ours(engine, "run", "--profile", "--format=json", lake=at.out(f"{who} profiled"))
        found[f"first load on {engine.title()}"] = _profile(run(load).output)
        at.before_the_day(who)()
        day = at.ours(engine, "run", "--profile", "--format=json", lake=at.out(f"{who} later"))
        found[f"one more day on {engine.title()}"] = _profile(run(day).output)
    return found


def _profile(output: str) -> Any:
    (line,) = [line for line in output.splitlines() if line.startswith("{")]
    return json.loads(line)["profile"]


def sizes(at: Workspace) -> dict[str, Any]:
    """Bytes and files of sources, tables and ledger after the first load; what the day after added."""
    at.data.withdraw()
    lake, later = at.out("lake on sail"), at.out("lake on sail later")
    sources = [f for root in (at.data.songs, at.data.logs) for f in root.rglob("*.json")]
    tables = Lakehouse.open(lake=lake).status()["tables"]
    events = tables["silver.events"]["rows"]
    day = Lakehouse.open(lake=later).status()["tables"]["silver.events"]["rows"] - events
    return {
        "files": len(sources),
        "bytes": sum(f.stat().st_size for f in sources),
        "log_bytes": sum(f.stat().st_size for f in at.data.logs.rglob("*.json")),
        "events": events,
        "tables": tables,
        "ledger": _below(Path(lake, "_ledger")),
        "day": {
            "events": day,
            "ledger": _below(Path(later, "_ledger")) - _below(Path(lake, "_ledger")),
            "lake": _below(Path(later)) - _below(Path(lake)),
        },
    }


def _below(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


class Counting(BadWeather):
    """Hands every request on, and counts it by what S3 charges for."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, refused=0, delay=0)
        self.counted = Counter[str]()

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        """A listing is a GET that is charged as a PUT."""
        self.counted["LIST" if "list-type=" in asked.path else asked.command] += 1
        super().answer(asked)


def requests(at: Workspace) -> dict[str, int]:
    """S3 requests of taking one day into a lake in a bucket that holds some days; sources on disk."""
    with tempfile.TemporaryDirectory() as folder:
        server = S3Server(Path(folder)).start()
        try:
            server.bucket("bench")
            logs = Path(folder, "log_data")
            logs.mkdir()
            days = sorted(at.data.logs.rglob("*.json"))[: DAYS_IN_BUCKET + 1]
            for day in days[:-1]:
                shutil.copy(day, logs / day.name)
            delivered = Workspace(Path(folder), Sources(at.data.songs, logs, at.data.day))
            words = delivered.ours("sail", "run", lake="s3://bench/lake")
            with Counting(server.endpoint) as proxy:
                environment = {**server.environment(), "LAKEHOUSE_S3__ENDPOINT": proxy.endpoint}
                run(words, environment)
                shutil.copy(days[-1], logs / days[-1].name)
                before = proxy.counted.copy()
                run(words, environment)
                return dict(proxy.counted - before)
        finally:
            server.kill()
