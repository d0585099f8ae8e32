"""What a user or another program did is told as such, and never called a fault of the program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from typing import Any

import numpy
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from gold import users
from lakehouse import Lakehouse
from runtime.cli import main
from runtime.delta.versions import TableVersions
from runtime.errors import DeclarationError, LayerError, UsageError
from runtime.table import Table
from silver import events
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, play

pytestmark = pytest.mark.process

OpenLake = Callable[..., Lakehouse]
READING = (
    ["query", "from gold.users", "--batch=1"],
    ["diff", "1", "3"],
    ["diff", "3", "1", "--table=users"],
    ["trace", "users", "7", "--batch=1"],
    ["report", "--out=-", "--batch=1"],
    ["restore", "--batch=1", "--yes"],
)


@pytest.fixture
def places(deliveries: Deliveries) -> list[str]:
    deliveries.logs("1.json", [play()])
    return [f"--song-data={deliveries.song_data}", f"--log-data={deliveries.log_data}"]


@pytest.mark.parametrize(
    ("lake", "why"),
    [
        ("{}/file/lake", "lies below a file"),
        ("{}/file/new/lake", "lies below a file"),
        ("/dev/null/lake", "lies below a file"),
        ("/proc/lake", "this folder cannot be made: No such file or directory"),
        ("/proc/self/new/lake", "this folder cannot be made: No such file or directory"),
        ("{}/loop/lake", "Too many levels of symbolic links"),
        ("{}/" + "x" * 300, "File name too long"),
    ],
)
def test_a_lake_where_none_can_be_is_refused(
    places: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], lake: str, why: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    where = f"--lake={lake.format(tmp_path)}"
    for words in (["run", *places], ["run", "--full-refresh", *places], ["status"], ["unlock"], ["verify"]):
        assert main([*words, where]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "internal" not in said.err
        assert words[0] != "run" or why in said.err


def test_a_source_where_none_can_be_is_refused(
    places: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    for source in ("file/logs", "loop/logs", "x" * 300):
        words = ["run", f"--lake={tmp_path / 'lake'}", f"--log-data={tmp_path / source}"]
        assert main(words) == 2
        assert "does not exist" in capsys.readouterr().err


def test_a_working_folder_that_was_deleted_matters_only_where_it_is_needed(
    places: list[str], tmp_path: Path
) -> None:
    def said(*words: str) -> subprocess.CompletedProcess[str]:
        gone = tmp_path / "gone"
        gone.mkdir()
        command = [
            "sh", "-c", f'cd {gone} && rmdir {gone} && exec "$@"', "sh",
            sys.executable, str(ROOT / "lakehouse.py"), *words,
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True)

    relative = said("run", *places, "--lake=lake")
    assert (relative.returncode, "the working folder, which was deleted" in relative.stderr) == (2, True)
    whole = f"--lake={tmp_path / 'lake'}"
    ended = said("run", *places, whole)
    assert (ended.returncode, ended.stderr.count("error")) == (0, 0), ended.stderr
    for words in (["status"], ["query", "from gold.users"], ["report", "--out=-"]):
        assert said(*words, whole).returncode == 0
    ended = said("report", "--out=page.html", whole)
    assert (ended.returncode, "internal" in ended.stderr) == (2, False), ended.stderr


@pytest.fixture
def three_batches(open_lake: OpenLake, deliveries: Deliveries) -> Lakehouse:
    lake = open_lake("lake", deliveries)
    for day, level in ((1, "free"), (2, "paid"), (3, "free")):
        deliveries.logs(f"{day}.json", [play(f"2018-11-0{day} 10:00:00", sessionId=day, level=level)])
        lake.run()
    return lake


def test_a_batch_whose_files_another_program_removed_cannot_be_read_any_more(
    three_batches: Lakehouse, deliveries: Deliveries, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in three_batches.tables:
        uri = f"{three_batches.settings.lake}/{name.replace('.', '/')}"
        DeltaTable(uri).vacuum(0, dry_run=False, enforce_retention_duration=False)
    where = [f"--lake={three_batches.settings.lake}", f"--log-data={deliveries.log_data}"]
    where.append(f"--song-data={deliveries.song_data}")
    for words in READING:
        assert main([*words, *where]) == 2, words
        said = capsys.readouterr()
        assert "batch 1 cannot be read any more" in said.err, words
    assert main(["query", "from gold.users", *where]) == 0
    # The other program's vacuum made commits of its own, and of the last batch nothing is lost.
    assert {check.check for check in three_batches.verify().checks if not check.ok} <= {"head"}


def test_a_lake_whose_files_are_gone_says_so_whatever_is_asked_of_it(
    three_batches: Lakehouse, tmp_path: Path, deliveries: Deliveries, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(three_batches.settings.lake, broken)
    for table in ("bronze/log_data", "gold/users"):
        for uri in DeltaTable(str(broken / table)).file_uris():
            Path(uri).unlink()
    where = [f"--lake={broken}", f"--log-data={deliveries.log_data}", f"--song-data={deliveries.song_data}"]
    where.append(f"--engine={three_batches.settings.engine}")
    asked = (
        ["query", "from gold.users"], ["trace", "users", "7"], ["report", "--out=-"], ["diff", "1", "3"],
        ["optimize"], ["run", "--full-refresh"],
    )  # fmt: skip
    for words in asked:
        assert main([*words, *where]) == 2, words
        said = capsys.readouterr()
        assert "internal" not in said.err
        assert "Another program removed" in said.err, said.err


@pytest.mark.parametrize("text", ["the older page, which is long enough", None])
def test_a_page_that_a_full_disk_cuts_leaves_the_one_that_was_there(
    three_batches: Lakehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    folder, write = tmp_path / "pages", Path.write_text
    folder.mkdir()
    if text is not None:
        (folder / "page.html").write_text(text)

    def full(path: Path, page: str, **named: Any) -> int:
        write(path, page[:10], **named)
        raise OSError(ENOSPC, os.strerror(ENOSPC), str(path))

    words = ["report", f"--lake={three_batches.settings.lake}", f"--out={folder / 'page.html'}"]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        assert main(words) == 2
    assert [file.read_text() for file in folder.iterdir()] == ([text] if text else [])
    assert main(words) == 0
    assert [file.read_text()[:15] for file in folder.iterdir()] == ["<!doctype html>"]


def test_to_export_a_batch_that_lacks_a_table_is_refused(
    open_lake: OpenLake, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries.logs("1.json", [play()])
    lake = open_lake("lake", deliveries)
    with monkeypatch.context() as patched:
        older = {n: t for n, t in Lakehouse.tables.items() if n != "gold.time"}
        patched.setattr(Lakehouse, "tables", older)
        lake.run()
    lake.run()
    with pytest.raises(UsageError, match=r"export: batch 1 has no gold\.time"):
        lake.export("postgresql://127.0.0.1:1/x", batch=1)


def test_a_number_of_python_that_is_no_batch_is_refused(three_batches: Lakehouse) -> None:
    for batch in ("1", 1.0, True, None):
        for ask in (
            lambda: three_batches.diff(batch, 2),  # type: ignore[arg-type]  # noqa: B023
            lambda: three_batches.restore(batch),  # type: ignore[arg-type]  # noqa: B023
            lambda: three_batches.pin(batch, "x"),  # type: ignore[arg-type]  # noqa: B023
        ):
            with pytest.raises(UsageError, match="A batch is given by its number"):
                ask()
    with pytest.raises(UsageError, match="got '1'"):
        three_batches.at(batch="1")  # type: ignore[arg-type]
    assert three_batches.at(batch=numpy.int64(1)).batch_id == 1  # type: ignore[arg-type]


def test_relations_of_one_lake_can_be_joined_also_of_two_batches(three_batches: Lakehouse) -> None:
    plays, users = (three_batches.table(name).duckdb() for name in ("gold.songplays", "gold.users"))
    assert len(plays.set_alias("p").join(users.set_alias("u"), "p.user_id = u.user_id").fetchall()) == 3
    first = three_batches.at(batch=1).table("gold.users").duckdb()
    assert users.set_alias("u").join(first.set_alias("f"), "u.user_id = f.user_id").select(
        "u.level, f.level"
    ).fetchall() == [("free", "free")]


def test_threads_can_share_a_snapshot(three_batches: Lakehouse) -> None:
    now = three_batches.at()

    def ask(number: int) -> tuple[int, int, int, int]:
        rows = now.sql(
            f"select count(*) n from gold.songplays p join gold.users u using (user_id), range({number})"
        )
        users = now.table("gold.users")
        return (
            rows.to_pylist()[0]["n"],
            len(users.pandas()),
            users.arrow().num_rows,
            len(users.duckdb().fetchall()),
        )

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, range(1, 41)))
    assert found == [(3 * number, 1, 1, 1) for number in range(1, 41)]


def test_a_fork_of_a_process_that_opened_a_lake_is_told_to_spawn(three_batches: Lakehouse) -> None:
    code = (
        "import os, sys, warnings; warnings.simplefilter('ignore')\n"
        "from lakehouse import Lakehouse\n"
        f"lake = Lakehouse.open(lake={three_batches.settings.lake!r}); lake.status()\n"
        "if os.fork() == 0:\n"
        "    for ask in (lake.status, lake.at, lambda: lake.sql('select 1')):\n"
        "        try: ask()\n"
        "        except Exception as error: sys.stdout.write(f'{type(error).__name__}: {error}\\n')\n"
        "    sys.stdout.flush(); os._exit(0)\n"
        "os.wait()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.stdout.count("UsageError: This process was forked") == 3, ended
    assert ended.returncode == 0


def test_json_has_every_digit_of_a_decimal_and_csv_tells_null_from_an_empty_text(
    three_batches: Lakehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(statement: str, form: str) -> str:
        assert main(["query", statement, f"--lake={three_batches.settings.lake}", f"--format={form}"]) == 0
        return capsys.readouterr().out

    digits = "12345678901234567890.1234567890"
    exact = (
        f"select {digits}::decimal(38,10) d, -0.0000000001::decimal(38,10) e, [{digits}::decimal(38,10)] f, "
        "5::decimal(9,2) g"
    )
    assert said(exact, "json") == f'[{{"d": {digits}, "e": -0.0000000001, "f": [{digits}], "g": 5.00}}\n]\n'
    assert said(exact, "csv").splitlines()[1] == f"{digits},-0.0000000001,[{digits}],5.00"
    assert said("select sum(9223372036854775807) * 10 as n", "json") == '[{"n": 92233720368547758070}\n]\n'
    texts = "from (values (null, '', 'NULL', 'a\"b', ',', ' ', e'\\n', 'x')) t(a, b, c, d, e, f, g, h)"
    assert said(texts, "csv") == 'a,b,c,d,e,f,g,h\n,"",NULL,"a""b",",", ,"\n",x\n'
    assert said("from (values (1, ''), (2, null)) t(n, a) select a order by n", "csv") == 'a\n""\n\n'


def nonsense(latest: DataFrame) -> DataFrame:
    return latest.selectExpr("user_id", "first_name", "last_name", "gender", "no_such_column as level")


def not_python(latest: DataFrame) -> DataFrame:
    return latest.no_such_method().select("*")  # type: ignore[operator,no-any-return]


def no_number(latest: DataFrame) -> DataFrame:
    return latest.selectExpr(
        "user_id", "first_name", "last_name", "gender", "cast(cast(level as int) as string) as level"
    )


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (replace(users.TABLE, build=nonsense), nonsense.__code__.co_firstlineno + 1),
        (replace(users.TABLE, build=not_python), not_python.__code__.co_firstlineno + 1),
        (replace(users.TABLE, build=no_number), None),
    ],
)
@pytest.mark.engine
def test_an_error_in_the_code_of_a_table_names_table_file_and_line(
    open_lake: OpenLake,
    deliveries: Deliveries,
    monkeypatch: pytest.MonkeyPatch,
    table: Table,
    line: int | None,
) -> None:
    deliveries.logs("1.json", [play()])
    monkeypatch.setattr(Lakehouse, "tables", {**Lakehouse.tables, table.name: table})
    with pytest.raises((DeclarationError, LayerError)) as met:
        open_lake("lake", deliveries).run()
    assert met.value.exit_code == 2
    assert str(met.value).startswith(f"{table.name}: its rows cannot be computed: ")
    assert f"Look at {__file__}:{line or ''}" in str(met.value)


@pytest.mark.engine
def test_an_error_in_a_rule_of_silver_names_the_table_too(
    open_lake: OpenLake, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries.logs("1.json", [play()])
    wrong = replace(events.TABLE, expectations={**events.TABLE.expectations, "is_nice": "no_such_column > 1"})
    monkeypatch.setattr(Lakehouse, "tables", {**Lakehouse.tables, "silver.events": wrong})
    with pytest.raises(LayerError, match=r"silver\.events: .*no_such_column.* Look at .*events\.py:\d+"):
        open_lake("lake", deliveries).run()


@pytest.mark.engine
def test_a_commit_of_our_own_that_an_engine_error_hid_is_not_called_a_stranger_s(
    three_batches: Lakehouse, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote = TableVersions.wrote

    def unanswered(heads: TableVersions, name: str, **named: Any) -> Any:
        if name == "gold.users":
            raise RuntimeError("the engine's answer was lost")
        return wrote(heads, name, **named)

    with monkeypatch.context() as patched:
        patched.setattr(TableVersions, "wrote", unanswered)
        deliveries.logs("4.json", [play("2018-11-04 10:00:00", sessionId=4, level="paid")])
        with pytest.raises(RuntimeError, match="the engine's answer was lost"):
            three_batches.run()
    assert three_batches.status()["batch_id"] == 3
    three_batches.run()
    assert three_batches.status()["batch_id"] == 4


def test_without_a_loopback_interface_the_error_says_so(places: list[str], tmp_path: Path) -> None:
    apart = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    command = [sys.executable, str(ROOT / "lakehouse.py"), "run", *places, f"--lake={tmp_path / 'lake'}"]
    ended = subprocess.run([*apart, *command], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "error: engine: sail cannot listen at 127.0.0.1" in ended.stderr
