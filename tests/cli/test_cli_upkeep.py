"""The commands of upkeep: what they ask, print and end with."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

import gold
from lakehouse import Lakehouse
from runtime.cli import main
from tests.support.deliveries import Deliveries
from tests.support.lakes import two_batches

pytestmark = [pytest.mark.engine, pytest.mark.long_on_spark]
OpenLake = Callable[..., Lakehouse]
Capture = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    """Someone who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def options(open_lake: OpenLake, deliveries: Deliveries) -> list[str]:
    """The flags that name a lake of two batches."""
    lake = open_lake("lake", deliveries)
    two_batches(lake, deliveries)
    sources = [f"--song-data={deliveries.song_data}", f"--log-data={deliveries.log_data}"]
    return [f"--lake={lake.settings.lake}", *sources]


def printed(capsys: Capture, arguments: list[str]) -> Any:
    """The JSON that a command that succeeds prints."""
    capsys.readouterr()
    assert main([*arguments, "--format=json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_restore_asks_on_a_terminal_and_needs_yes_without_one(
    options: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["restore", "--batch=1", *options]) == 2
    assert "agree with --yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", Terminal("no\n"))
    assert main(["restore", "--batch=1", *options]) == 1
    shown = capsys.readouterr()
    assert "gold.songplays            2          1" in shown.out
    assert "Nothing was changed." in shown.err
    assert printed(capsys, ["status", *options])["batch_id"] == 2
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert main(["restore", "--batch=1", *options]) == 0
    assert printed(capsys, ["status", *options])["batch_id"] == 3


def test_restore_tells_what_it_would_do_and_what_it_did(options: list[str], capsys: Capture) -> None:
    would = printed(capsys, ["restore", "--batch=1", "--dry-run", *options])
    did = printed(capsys, ["restore", "--batch=1", "--yes", *options])
    assert (would["batch_id"], did["batch_id"]) == (None, 3)
    assert {**would, "batch_id": 3} == did
    assert did["tables"]["gold.users"] == {"rows_before": 2, "rows_after": 1}
    assert [(f["source"], f["path"].rpartition("/")[2]) for f in did["new_again"]] == [("log_data", "2.json")]
    assert main(["history", *options]) == 0
    assert "back to batch 1" in capsys.readouterr().out
    assert main(["restore", "--batch=3", *options]) == 0
    assert "nothing to do" in capsys.readouterr().err


def test_optimize_prints_files_before_and_after(options: list[str], capsys: Capture) -> None:
    done = printed(capsys, ["optimize", "gold", *options])
    assert done["batch_id"] == 3
    assert set(done["tables"]) == {table.name for table in gold.GOLD}
    users = done["tables"]["gold.users"]
    assert (users["files_before"], users["files_after"]) == (2, 1)
    assert main(["optimize", "--target-file-size=1MB", "--format=csv", *options]) == 0
    assert (
        capsys.readouterr().out.splitlines()[0] == "table,files_before,files_after,bytes_before,bytes_after"
    )
    assert main(["optimize", "silver.event", *options]) == 2
    assert "did you mean silver.events?" in capsys.readouterr().err
    for size in ("much", "0"):
        assert main(["optimize", f"--target-file-size={size}", *options]) == 2


def test_vacuum_names_what_would_be_lost_and_asks(
    options: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["vacuum", *options]) == 0
    assert "Nothing to remove." in capsys.readouterr().err
    # All that batch 1 reads is read by batch 2 as well.
    assert printed(capsys, ["vacuum", "--history-days=0", "--yes", *options])["unreadable"] == []
    assert main(["optimize", *options]) == 0
    lost = ["vacuum", "--history-days=0", *options]
    assert main(lost) == 2
    shown = capsys.readouterr()
    assert "Batches that would become unreadable: 1, 2." in shown.out
    assert "2 batches would become unreadable" in shown.err
    monkeypatch.setattr("sys.stdin", Terminal("\n"))
    assert main(lost) == 1
    would = printed(capsys, [*lost, "--dry-run"])
    did = printed(capsys, [*lost, "--yes"])
    assert (would["done"], did) == (False, {**would, "done": True})
    assert did["unreadable"] == [1, 2]
    assert did["tables"]["gold.users"]["files"] == 2
    assert main(["query", "--batch=1", "select 1", *options]) == 2
    assert main(["query", "--batch=3", "select 1", *options]) == 0
    assert main(["history", *options]) == 0
    assert "vacuumed 20" in capsys.readouterr().out


def test_pins_are_shown_by_history_and_status(options: list[str], capsys: Capture) -> None:
    assert printed(capsys, ["pin", "1", "--label=Q3 report", *options]) == {
        "batch_id": 1,
        "pinned": "Q3 report",
    }
    assert main(["optimize", *options]) == 0
    assert printed(capsys, ["vacuum", "--history-days=0", "--yes", *options])["unreadable"] == [2]
    assert main(["history", *options]) == 0
    assert "pinned: Q3 report" in capsys.readouterr().out
    assert main(["status", *options]) == 0
    assert "pinned      1 (Q3 report)" in capsys.readouterr().out
    assert printed(capsys, ["unpin", "1", *options]) == {"batch_id": 1, "pinned": None}
    assert main(["unpin", "1", *options]) == 2
    assert main(["pin", "1", *options]) == 2  # a pin says why
