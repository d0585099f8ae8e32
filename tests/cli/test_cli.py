"""The command line: options, exit codes, streams, formats, and what an error tells."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit_rows
from runtime.cli.program import SECTIONS, program
from runtime.engine import Engine
from runtime.errors import LeaseHeld
from runtime.ledger.lease import claim
from runtime.ledger.ledger import Ledger
from runtime.process.version import code_version
from runtime.run.runner import Report
from runtime.text.values import as_json, as_text, to_json, visible
from tests.support.checkout import ROOT

ESCAPE = "\x1b"
TABLES = [
    "bronze.song_data", "bronze.log_data", "silver.songs", "silver.events", "silver.quarantine",
    "gold.songplays", "gold.users", "gold.songs", "gold.artists", "gold.time",
    "gold.user_levels",
]  # fmt: skip
SIZES = ["--events=300", "--songs=40", "--days=3"]
ENGINES = {"pyspark", "pysail", "duckdb"}


@dataclass(frozen=True)
class Ended:
    """How an invocation ended, and what it wrote."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


@dataclass(frozen=True)
class Sample:
    """A lake of sample data, its sources, and how the run that filled it ended."""

    folder: Path
    filled: Ended

    @property
    def options(self) -> list[str]:
        return [f"--lake={self.folder / 'lake'}", *self.sources]

    @property
    def sources(self) -> list[str]:
        return [f"--{name.replace('_', '-')}={self.folder / name}" for name in ("song_data", "log_data")]


@pytest.fixture(scope="module")
def sample(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A small dirty sample, with a record a terminal would obey, taken in as several batches."""
    folder = tmp_path_factory.mktemp("cli") / "sample"
    assert main(["sample", "--out", str(folder), "--dirty", *SIZES, "-q"]) == 0
    hostile = folder / "log_data" / "hostile.json"
    hostile.write_text(f'{{"page": "{ESCAPE}[31mNextSong\n', encoding="utf-8")
    options = Sample(folder, Ended(0, "", "")).options
    words = ["--set=batch_bytes=60000", "--format=json", "--fail-on-quarantine"]
    return Sample(folder, subprocess_of("run", *options, *words))


@pytest.fixture
def run(sample: Sample, capsys: pytest.CaptureFixture[str]) -> Run:
    """One command line on the sample's lake, in this process."""

    def run(*words: str) -> Ended:
        capsys.readouterr()
        code = main([*words, *sample.options])
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Run:
    """One command line as it stands, in this process."""

    def here(*words: str) -> Ended:
        capsys.readouterr()
        code = main(words)
        return Ended(code, *capsys.readouterr())

    return here


@pytest.fixture
def own_lake(sample: Sample, tmp_path: Path) -> Path:
    """A copy of the lake that a test may change."""
    shutil.copytree(sample.folder / "lake", tmp_path / "lake")
    return tmp_path / "lake"


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> list[Invocation]:
    """A command `probe` that notes what the shared options said."""
    seen: list[Invocation] = []

    @command
    def probe(asked: Invocation) -> None:
        """Note."""
        seen.append(asked)

    monkeypatch.setitem(program.commands, "probe", probe)
    return seen


def subprocess_of(*words: str, **environment: str) -> Ended:
    """The command line in a process of its own, as a user starts it."""
    ended = subprocess.run(
        [sys.executable, str(ROOT / "lakehouse.py"), *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def modules_after(*lines: str) -> set[str]:
    """The top-level modules a process has loaded after command lines."""
    code = "import sys; from runtime.cli import main\n"
    code += "".join(f"assert main({line.split()!r}) == 0\n" for line in lines)
    code += "sys.stdout = sys.__stdout__; print('\\nloaded', *sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in ended.stdout.rpartition("loaded")[2].split()}


# --- the program


def test_the_help_lists_the_commands_of_the_contract_under_their_sections(here: Run) -> None:
    shown = here("--help")
    sections = re.findall(r"^(\w+):\n((?:  .*\n)+)", shown.out, flags=re.MULTILINE)
    listed = {title: re.findall(r"^  (\w+) ", body, re.MULTILINE) for title, body in sections}
    del listed["Options"]
    read = "status history query diff trace report"
    care = "verify doctor quarantine restore optimize vacuum pin unpin unlock export"
    assert listed == {"Pipeline": ["run", "plan", "sample"], "Read": read.split(), "Care": care.split()}
    assert shown.code == 0
    assert shown.err == ""


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("run", "--full-refresh --fail-fast --retry-bad --again --fail-on-quarantine --profile --watch"),
        ("plan", "--check"),
        ("sample", "--out --events --songs --days --seed --dirty"),
        ("status", ""),
        ("history", "--profile"),
        ("query", "--batch --as-of"),
        ("verify", "--table"),
        ("quarantine list", ""),
        ("quarantine show", "--batch --limit"),
        ("quarantine retry", ""),
        ("unlock", "--force"),
    ],
)
def test_a_command_has_the_options_of_the_contract(here: Run, name: str, options: str) -> None:
    own, _, shared = here(*name.split(), "--help").out.partition("Shared options:")
    assert re.findall(r"^  (--[a-z-]+)", own.partition("Options:")[2], re.MULTILINE) == options.split()
    assert "--target" in shared


@pytest.mark.process
def test_the_help_loads_no_engine_and_no_delta() -> None:
    assert not modules_after("--help") & {*ENGINES, "deltalake", "pyarrow", "pandas", "rich"}


@pytest.mark.process
def test_commands_that_start_nothing_load_neither_an_engine_nor_duckdb(sample: Sample) -> None:
    options = " ".join([*sample.options, "--format json"])
    commands = ("plan", "status", "history", "history gold.users", "run")
    loaded = modules_after(*(f"{name} {options}" for name in commands))
    assert "deltalake" in loaded
    assert not loaded & ENGINES


def test_the_version_is_the_projects(here: Run) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert code_version() in (declared, "unknown")
    assert here("--version").out == f"sparkify-lakehouse {code_version()}\n"
    assert here("status", "--version").out == f"sparkify-lakehouse {code_version()}\n"


# --- shared options


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ("--target s3", "target", "s3"),
        ("--lake a", "lake", "a"),
        ("--song-data b", "song_data", "b"),
        ("--log-data c", "log_data", "c"),
        ("--engine spark", "engine", "spark"),
        ("--set x=1 --set y=2", "set", ("x=1", "y=2")),
        ("--format json", "format", "json"),
        ("-q", "quiet", True),
        ("--quiet", "quiet", True),
        ("-v", "verbose", True),
        ("--verbose", "verbose", True),
        ("--debug", "debug", True),
    ],
)
def test_a_shared_option_stands_before_or_after_the_command(
    probe: list[Invocation], given: str, field: str, value: object, before: bool
) -> None:
    words = [*given.split(), "probe"] if before else ["probe", *given.split()]
    assert main(words) == 0
    assert probe == [Invocation(**{field: value})]  # type: ignore[arg-type]


def test_after_the_command_wins_and_settings_add_up(probe: list[Invocation]) -> None:
    before, after = ["--lake=a", "--format=json", "--set=x=1"], ["--lake=b", "--set=y=2"]
    assert main([*before, "probe", *after]) == 0
    assert probe == [Invocation(lake="b", format="json", set=("x=1", "y=2"))]


def test_every_option_works_on_a_real_command_on_either_side(sample: Sample, here: Run) -> None:
    options = [*sample.options, "--format", "json", "--target", "local", "--set", "lease_seconds=9"]
    before, after = here(*options, "status"), here("status", *options)
    assert before == after
    assert before.json()["batch_id"] > 1


def test_quiet_and_verbose_contradict_each_other(here: Run) -> None:
    ended = here("-q", "status", "-v")
    assert (ended.code, ended.out) == (2, "")
    assert "contradict" in ended.err


def test_verbose_tells_where_each_setting_comes_from(run: Run) -> None:
    told = run("status", "-v").err
    assert "lease_seconds = 60  (conf/base.yaml:lease_seconds)" in told
    assert re.search(r"^lake = .*  \(--lake\)$", told, re.MULTILINE)


# --- errors and exit codes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("statsu", "no such command 'statsu'; did you mean 'status'?"),
        ("status --formatt json", "no such option '--formatt'; did you mean '--format'?"),
        ("run --full-refesh", "no such option '--full-refesh'; did you mean '--full-refresh'?"),
        ("status --format xml", "'xml' is not one of 'table', 'json', 'csv'"),
        ("sample", "missing option '--out'"),
        ("run --watch 0", "0 is not in the range"),
        ("run --watch 1 --full-refresh", "--watch and --full-refresh"),
        ("status --lake /nowhere --set lese_seconds=1", "did you mean lease_seconds?"),
        ("status --lake /nowhere", "/nowhere holds no published batch yet"),
        ("query x --batch 1 --as-of 2026-01-01 --lake /nowhere", "holds no published batch"),
    ],
)
def test_a_wrong_command_line_is_one_paragraph_and_exit_2(here: Run, words: str, message: str) -> None:
    ended = here(*words.split())
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(r"error: .*\n", ended.err)
    assert message in ended.err


def test_without_a_command_the_help_is_shown_as_an_error(here: Run) -> None:
    ended = here()
    assert (ended.code, ended.out) == (2, "")
    assert "Pipeline:" in ended.err


def test_a_fault_of_the_program_is_exit_3_and_shows_its_place_with_debug(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lakehouse, "plan", lambda _: dict[str, int]()["missing"])
    ended = run("plan")
    assert (ended.code, ended.out) == (3, "")
    assert re.fullmatch(r"error: internal: KeyError: 'missing' .*--debug.*\n", ended.err)
    assert "Traceback" in run("plan", "--debug").err


def test_a_full_disk_is_no_fault_of_the_program(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Lakehouse) -> None:
        raise OSError(28, "No space left on device", "/lake/part")

    monkeypatch.setattr(Lakehouse, "plan", full)
    ended = run("plan")
    assert (ended.code, ended.err) == (2, "error: /lake/part: No space left on device.\n")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_with_its_code(sample: Sample, sent: int, code: int) -> None:
    # In a process of its own: an engine running in this one would take the signal, too.
    script = (
        "import os, sys, time\n"
        "from lakehouse import Lakehouse\n"
        "from runtime.cli import main\n"
        f"Lakehouse.plan = lambda self: (os.kill(os.getpid(), {int(sent)}), time.sleep(5))\n"
        f"sys.exit(main({['plan', *sample.options]!r}))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.endswith("the lake stays as last published.\n")


def test_a_lease_that_is_held_is_exit_4_until_it_is_taken_away(
    here: Run, own_lake: Path, sample: Sample, tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "new.json").write_text("{}")
    ledger = Ledger(f"{own_lake}/_ledger")
    with claim(ledger, "a test", 60):
        ended = here("run", f"--lake={own_lake}", f"--log-data={tmp_path / 'logs'}", sample.sources[0])
        assert (ended.code, ended.out) == (4, "")
        assert f"held by `a test`, process {os.getpid()}" in ended.err
        assert here("unlock", f"--lake={own_lake}").code == 4
        assert "held by `a test`" in here("status", f"--lake={own_lake}").out
        forced = here("unlock", "--force", f"--lake={own_lake}")
        assert (forced.code, forced.out.startswith("Released the lease")) == (0, True)
        ledger.refresh()
    assert here("unlock", f"--lake={own_lake}").out == "The lease is free.\n"


def test_a_file_that_cannot_be_read_is_told_and_exit_1(here: Run, tmp_path: Path) -> None:
    broken = tmp_path / "logs" / f"red{ESCAPE}[31m.json.gz"
    broken.parent.mkdir()
    broken.write_bytes(b"not gzip")
    options = [f"--lake={tmp_path / 'lake'}", f"--log-data={broken.parent}", "--song-data=null"]
    assert here("plan", "--check", *options).code == 1
    ended = here("run", "--format", "json", *options)
    assert ended.code == 1
    assert [f["path"] for f in ended.json()["failed_files"]] == [str(broken)]
    assert "could not read" in ended.err
    assert ESCAPE not in ended.out + ended.err
    assert here("run", "--format", "json", *options).json() == {"new_files": 0, "batches": []}
    assert here("run", "--retry-bad", *options).code == 1
    assert here("run", "--retry-bad", "--fail-fast", *options).code == 1


def test_whoever_stops_reading_ends_the_output_quietly(sample: Sample) -> None:
    words = ["query", *sample.options, "select * from silver.events a, range(10) b"]
    with subprocess.Popen(
        [sys.executable, str(ROOT / "lakehouse.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": ""},  # unbuffered, Python loses a write cut short
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# --- run and plan


def test_a_run_prints_the_json_of_the_contract_and_nothing_else(sample: Sample) -> None:
    report = json.loads(sample.filled.out)
    assert sample.filled.out.count("\n") == 1
    assert list(report) == ["new_files", "batches"]
    assert report["new_files"] == sum(sum(b["files"].values()) for b in report["batches"])
    for number, batch in enumerate(report["batches"], start=1):
        records = batch["records"]
        assert list(batch) == ["batch_id", "files", "records", "tables", "seconds"]
        assert batch["batch_id"] == number
        assert list(batch["files"]) == ["song_data", "log_data"]
        assert sorted(batch["tables"]) == sorted(TABLES)
        assert list(batch["tables"]["gold.users"]) == [
            "version", "inserted", "updated", "deleted", "rows",
        ]  # fmt: skip
        assert records.pop("delivered") == sum(records.values())
        assert list(records) == ["accepted", "duplicate", "superseded", "quarantined"]


def test_a_run_tells_of_each_table_and_batch_on_stderr(sample: Sample) -> None:
    told = sample.filled.err
    assert re.search(r"^gold\.users +merge +\+\d+( ~\d+)? +\d+\.\d s$", told, re.MULTILINE)
    assert re.search(r"^gold\.songs +unchanged +\d+\.\d s$", told, re.MULTILINE)
    assert re.search(r"^batch 1: .*song_data.* files; .* records: .* quarantined; ", told, re.M)
    assert "quarantine list" in told.splitlines()[-1]
    assert ESCAPE not in told


def test_a_quarantined_record_fails_the_run_when_that_is_asked_for(sample: Sample) -> None:
    assert sample.filled.code == 1


def test_a_rebuild_tells_its_summary_on_stdout_and_nothing_when_quiet(own_lake: Path, sample: Sample) -> None:
    ended = subprocess_of("run", "--full-refresh", "--quiet", f"--lake={own_lake}", *sample.sources)
    assert ended.code == 0
    assert re.fullmatch(r"batch \d+ \(full refresh\): .* records: .* s\n", ended.out)
    assert ended.err == ""


def test_nothing_new_is_told_and_ends_with_0(run: Run) -> None:
    ended = run("run")
    assert ended.code == 0
    assert ended.out.startswith("Nothing new in ")
    assert run("run", "--format", "json").out == '{"new_files": 0, "batches": []}\n'
    assert run("run", "--format", "csv").out == ("batch_id,table,version,inserted,updated,deleted,rows\n")
    assert run("plan").out == "Nothing to do.\n"
    assert run("plan", "--check").code == 0


def test_watching_waits_out_what_may_pass_and_prints_a_line_a_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: Iterator[Any] = iter([LeaseHeld("held."), Report(), Report(), KeyboardInterrupt()])

    def one_run(*_: object, **__: object) -> Report:
        outcome = next(outcomes)
        if isinstance(outcome, BaseException):
            raise outcome
        assert isinstance(outcome, Report)
        return outcome

    monkeypatch.setattr(Lakehouse, "run", one_run)
    ended = run("run", "--watch", "0.01", "--format", "json")
    assert ended.code == 130
    assert ended.out == '{"new_files": 0, "batches": []}\n' * 2
    assert ended.err.startswith("error: held. Trying again in 0.01 s.\n")


def test_watching_a_source_that_never_was_is_a_mistake(here: Run, tmp_path: Path) -> None:
    missing = f"--log-data={tmp_path / 'missing'}"
    ended = here("run", "--watch", "1", f"--lake={tmp_path / 'lake'}", missing, "--song-data=null")
    assert ended.code == 2


def test_a_plan_groups_files_by_reason_and_lists_them_as_data(
    here: Run, sample: Sample, tmp_path: Path
) -> None:
    options = [f"--lake={tmp_path / 'lake'}", *sample.sources]
    shown = here("plan", *options).out
    assert re.search(r"^new file +song_data +4\d +\S+ KiB$", shown, re.MULTILINE)
    found = here("plan", "--check", "--format", "json", *options)
    assert found.code == 1
    assert list(found.json()) == [
        "files", "bad_files", "new_tables", "changed_schemas", "changed_rules", "unpublished",
    ]  # fmt: skip
    lines = here("plan", "--format", "csv", *options).out.splitlines()
    assert lines[0] == "path,source,bytes,reason"
    assert len(lines) == 1 + len(found.json()["files"])


def test_the_sample_names_the_command_that_takes_it_in(here: Run, tmp_path: Path) -> None:
    out = tmp_path / "a sample"
    words = ["sample", f"--out={out}", "--events=20", "--songs=5", "--days=2", "--seed=3"]
    ended = here(*words)
    assert "20 events over 2 days" in ended.out
    assert f"run --song-data '{out}/song_data'" in ended.err
    told = here(*words, "--format", "json").json()
    assert told["arguments"]["events"] == 20


# --- status, history


def test_status_is_the_json_of_the_contract(run: Run, sample: Sample) -> None:
    found = run("status", "--format", "json").json()
    assert list(found) == ["batch_id", "tables", "quarantine"]
    assert list(found["tables"]) == list(Lakehouse.open(lake=f"{sample.folder / 'lake'}").status()["tables"])
    assert sorted(found["tables"]) == sorted(TABLES)
    assert list(found["tables"]["gold.users"]) == ["rows", "version", "files", "bytes"]
    assert found["quarantine"]["record_is_json_object"] >= 1


def test_status_tells_a_person_of_the_last_batch_quarantine_and_lease(run: Run) -> None:
    shown = run("status").out
    assert re.search(r"^gold\.users +\d+ +\d+ +\d+ +\S+ (B|KiB)$", shown, re.MULTILINE)
    assert re.search(r"^last batch +\d+ \(run\), \d{4}-\d\d-\d\d .* UTC, .* s on sail$", shown, re.M)
    assert re.search(r"^lease +free$", shown, re.MULTILINE)
    assert re.search(r"^record_is_json_object +\d+$", shown, re.MULTILINE)
    assert run("status", "--format", "csv").out.startswith("table,rows,version,files,bytes\n")


def test_history_lists_states_and_one_tables_commits(run: Run) -> None:
    states = run("history", "--format", "json").json()
    assert [s["batch_id"] for s in states] == list(range(1, len(states) + 1))
    shown = run("history")
    assert re.search(r"^ +1  run +.*songs \+\d+, .* sail$", shown.out, re.MULTILINE)
    assert "versionAsOf" in shown.err
    commits = run("history", "gold.users", "--format", "json").json()
    assert list(commits[0]) == ["version", "at", "operation", "batch_id"]
    assert run("history", "--format", "csv").out.count("gold.users") == len(states)
    assert "did you mean gold.users?" in run("history", "gold.usr").err


# --- query


def test_a_query_gives_rows_as_table_csv_and_json(run: Run) -> None:
    statement = "select 1 a, 'x' b, null c, timestamptz '2018-11-21 21:56:47.796+00' d"
    table = run("query", statement)
    assert table.out == (
        "a  b  c     d\n"
        "─  ─  ────  ────────────────────────\n"
        "1  x  NULL  2018-11-21T21:56:47.796Z\n"
    )  # fmt: skip
    assert table.err == "(1 row)\n"
    as_csv = run("query", statement, "--format", "csv")
    assert (as_csv.out, as_csv.err) == ("a,b,c,d\n1,x,,2018-11-21T21:56:47.796Z\n", "")
    as_objects = run("query", statement, "--format", "json").json()
    assert as_objects == [{"a": 1, "b": "x", "c": None, "d": "2018-11-21T21:56:47.796Z"}]


def test_no_rows_are_an_empty_array(run: Run) -> None:
    assert run("query", "select 1 a where false", "--format", "json").out == "[]\n"
    assert run("query", "select 1 a where false", "--format", "csv").out == "a\n"
    assert run("query", "select 1 a where false").err == "(0 rows)\n"


def test_columns_of_one_name_are_all_there_in_json(run: Run) -> None:
    assert run("query", "select 1 a, 2 a", "--format", "json").json() == [{"a": 1, "a_2": 2}]


def test_rare_types_of_duckdb_come_out(run: Run) -> None:
    statement = (
        "select interval '1 month 2 hours' i, map {'a': 1} m, 1.5::decimal(5,2) d, 'x'::blob b, "
        "{'a': [1]} s, 'nan'::double n, timestamp_ns '2018-01-01 00:00:00.123456789' ns, 9::hugeint h"
    )
    assert run("query", statement, "--format", "json").json() == [
        {
            "i": "P1M0DT7200S",
            "m": {"a": 1},
            "d": 1.5,
            "b": "78",
            "s": {"a": [1]},
            "n": None,
            "ns": "2018-01-01T00:00:00.123456",
            "h": 9,
        }
    ]


def test_a_query_sees_the_lake_as_of_a_batch_or_a_time(run: Run) -> None:
    count = "select count(*) n from gold.songplays"
    states = run("history", "--format", "json").json()
    before = run("query", count, "--batch", "1", "--format", "json")
    assert before.json() == run("query", count, "--as-of", states[0]["at"], "--format", "json").json()
    assert before.json()[0]["n"] < run("query", count, "--format", "json").json()[0]["n"]
    assert "There is no batch 99" in run("query", count, "--batch", "99").err
    assert run("query", count, "--as-of", "2001-01-01").code == 2
    assert run("query", count, "--as-of", "yesterday").code == 2
    assert run("query", count, "--batch", "1", "--as-of", "2030-01-01").code == 2


@pytest.mark.parametrize(
    "statement",
    ["delete from gold.users", "copy gold.users to '/tmp/x'", "select 1; select 2", "selec 1", " ",
     "select * from gold.usres", "select * from read_csv('/etc/passwd')"],
)  # fmt: skip
def test_what_is_no_reading_statement_is_exit_2(run: Run, statement: str) -> None:
    ended = run("query", statement)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: query: ")


@pytest.mark.parametrize("words", [["query", "-"], ["query"]])
def test_a_statement_can_be_piped_in(run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("select 5 as five"))
    assert run(*words, "--format", "csv").out == "five\n5\n"


def test_a_query_runs_on_the_engine_when_the_command_line_names_it(sample: Sample) -> None:
    words = ["query", "select try_cast('x' as int) as n, count(*) c from gold.users", "--engine=sail"]
    ended = subprocess_of(*words, "--format=json", *sample.options)
    assert (ended.code, ended.err) == (0, "")
    assert ended.json()[0]["n"] is None


def test_an_explained_query_keeps_its_drawing(run: Run) -> None:
    assert run("query", "explain select * from gold.users").out.count("\n") > 3


# --- what a terminal gets


def test_text_of_a_record_never_reaches_a_terminal_as_it_is(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    statement = "select raw from silver.quarantine where contains(raw, chr(27))"
    shown = run("query", statement).out
    assert ESCAPE not in shown
    assert "\\x1b[31mNextSong" in shown
    as_objects = run("query", statement, "--format", "json")
    assert ESCAPE not in as_objects.out
    assert ESCAPE in as_objects.json()[0]["raw"]
    assert ESCAPE in run("query", statement, "--format", "csv").out  # a file gets what there is
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert ESCAPE not in run("query", statement, "--format", "csv").out


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_color_is_respected(
    run: Run, monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    assert ESCAPE not in run("query", "select null a").out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert (ESCAPE in run("query", "select null a").out) is coloured


def test_only_a_terminal_cuts_columns_and_never_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("x" * 100, 10**18)]
    emit_rows(("text", "number"), rows, "table")
    assert "x" * 100 in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    emit_rows(("text", "number"), rows, "table")
    lines = capsys.readouterr().out.splitlines()
    assert {len(line) for line in lines} == {60}
    assert lines[2].endswith(f"x…  {10**18}")


def test_wide_characters_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    emit_rows(("name", "n"), [("日本", 1), ("abc", 22)], "table")
    assert capsys.readouterr().out.splitlines()[2:] == ["日本   1", "abc   22"]


# --- values


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(2018, 11, 21, 21, 56, 47, 796000, UTC), "2018-11-21T21:56:47.796Z"),
        (datetime(2018, 11, 21, 21, 56, 47, 796001, UTC), "2018-11-21T21:56:47.796001Z"),
        (datetime(2018, 11, 21, 1, tzinfo=timezone(timedelta(hours=2))), "2018-11-20T23:00:00.000Z"),
        (datetime(2018, 11, 21), "2018-11-21T00:00:00.000"),  # noqa: DTZ001 - a time without a zone
        (date(2018, 11, 21), "2018-11-21"),
        (timedelta(seconds=90), "PT90S"),
        (Decimal("1.50"), 1.5),
        (Decimal(10**30), 10**30),
        (Decimal("NaN"), None),
        (float("inf"), None),
        (b"\x00\xff", "00ff"),
        ([date(2018, 1, 1), None], ["2018-01-01", None]),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        (True, True),
    ],
)
def test_a_value_as_json(value: object, shown: object) -> None:
    assert as_json(value) == shown


def test_a_value_as_text_is_exact() -> None:
    assert as_text(None) is None
    assert as_text(True) == "true"
    assert as_text(Decimal("1.50")) == "1.50"
    assert as_text(["a", None]) == '["a", null]'


def test_json_holds_nothing_a_terminal_obeys_and_means_the_same() -> None:
    text = "a\x1b\x9b\u202e\ud800é日"
    assert not set(to_json(text)) & set("\x1b\x9b\u202e\ud800")
    assert json.loads(to_json(text)) == text


def test_invisible_characters_are_spelled_out() -> None:
    assert visible("a\x1b[0m\n\t\x9b\u202e\ud800é") == "a\\x1b[0m\\n\\t\\x9b\\u202e\\ud800é"
    assert visible("a\nb\r", keep="\n") == "a\nb\\r"


def test_every_command_has_help() -> None:
    assert all(c.help for commands in SECTIONS.values() for c in commands)
