"""The star schema in a real PostgreSQL: whole, then what changed, and whatever may go wrong between."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from adbc_driver_postgresql import dbapi

import gold
from lakehouse import Lakehouse
from runtime.cli import main
from runtime.errors import LakehouseError, LeaseHeld, TargetError, UsageError
from runtime.export import exporting
from runtime.export.exporting import Exported
from runtime.export.target import check_address, check_schema, transaction
from runtime.read.sql import quoted
from runtime.table import Merge, Table
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, event, play, song
from tests.support.postgres import Server, running
from tests.support.s3_server import S3Server

pytestmark = pytest.mark.process

NASTY = "a\\b\"c'd, é 日本 \\N {} \\. %s $1"
# For each number it reads: an export, in a process of its own, that kills itself before that statement or
# within that COPY. Says how the process ended.
KILLED = """
import os, signal, sys
import adbc_driver_postgresql.dbapi, duckdb, pyarrow
from lakehouse import Lakehouse
from runtime.export import exporting
from runtime.export.target import Target

lake, uri, what = sys.argv[1:]
batches = exporting._batches
seen = wanted = 0

def reached():
    global seen
    seen += 1
    return seen == wanted

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def mortal(method):
    return lambda self, *given: die() if reached() else method(self, *given)

def cut(*given):
    whole = batches(*given)
    def one():
        yield from whole.read_all().to_batches(max_chunksize=1)[:1]
        die()
    return pyarrow.RecordBatchReader.from_batches(whole.schema, one()) if reached() else whole

if what == "statement":
    Target.execute, Target.rows = mortal(Target.execute), mortal(Target.rows)
else:
    exporting._batches = cut
for line in sys.stdin:
    wanted = int(line)
    child = os.fork()
    if not child:
        Lakehouse.open(lake=lake).export(uri)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
TABLES = "select 1 from pg_tables where schemaname = 'sparkify' limit 1"

# What someone may do to the tables, and what the next export calls it.
ALTERED = {
    "a column renamed": ("alter table sparkify.users rename level to plan", "dropped users.level"),
    "a column dropped": ("alter table sparkify.users drop gender", "dropped users.gender"),
    "a column made anew": ("alter table sparkify.users drop gender, add gender text", "dropped users.gender"),
    "a type changed": (
        "alter table sparkify.users alter user_id type bigint",
        "altered or dropped users.user_id",
    ),
    "a key dropped": ("alter table sparkify.users drop constraint users_pkey cascade", "users.user_id"),
    "a table dropped": ("drop table sparkify.songplays", "dropped songplays"),
    "rows deleted": ("delete from sparkify.songplays", "deleted rows: songplays has 0"),
    "rows added": ("insert into sparkify.artists values ('A9', 'Me')", "added or deleted rows: artists has"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def uri(server: Server, request: pytest.FixtureRequest) -> str:
    """An empty database of the test's own."""
    return server.database(f"test_{abs(hash(request.node.nodeid))}")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """Four batches: rows of every table come, change and go."""
    return made(tmp_path_factory.mktemp("export"))


def made(folder: Path, location: str | None = None) -> Lakehouse:
    """A lake of four batches in a folder, or where it is said."""
    sources = Deliveries(folder / "sources")
    lake = sources.lake(location or folder / "lake")
    sources.songs("one.json", [song(), song(song_id="S2", title=NASTY, artist_id="A2", artist_name="Zwei")])
    sources.logs("1.json", [play(userId=str(n), itemInSession=n, location=NASTY) for n in range(1, 40)])
    lake.run()
    sources.logs(
        "1.json", [event(userId="1", itemInSession=1), play(userId="2", itemInSession=2, level="paid")]
    )
    sources.songs(
        "one.json",
        [song(artist_id="A3", artist_name="Other"), song(song_id="S3", title="Late", artist_id="A3")],
    )
    lake.run()
    sources.logs("2.json", [play("2018-12-01 10:00:00.25", userId="50", song="Late", sessionId=9)])
    lake.run()
    sources.logs("3.json", [event("2018-12-02 10:00:00", userId="50", sessionId=9, level="paid")])
    lake.run()
    return lake


def ask(uri: str, query: str) -> list[tuple[Any, ...]]:
    with dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def do(uri: str, *statements: str) -> None:
    with dbapi.connect(uri, autocommit=True) as connection:
        for statement in statements:
            with connection.cursor() as cursor:
                cursor.execute(statement)


def key_of(table: Table) -> str:
    assert isinstance(table.write, Merge)
    return ", ".join(table.write.key)


def in_target(uri: str, schema: str = "sparkify") -> dict[str, list[Any]]:
    """Every row of every table there."""
    found = {}
    with dbapi.connect(uri) as connection, connection.cursor() as cursor:
        for table in gold.STAR:
            bare = table.name.partition(".")[2]
            where = f"{quoted(schema)}.{bare}"
            cursor.execute(f"select {', '.join(table.content)} from {where} order by {key_of(table)}")
            found[bare] = cursor.fetch_arrow_table().to_pylist()
    return found


def in_lake(lake: Lakehouse, batch: int) -> dict[str, list[Any]]:
    """The same rows as DuckDB reads them."""
    return {
        table.name.partition(".")[2]: lake.at(batch=batch)
        .sql(f"select {', '.join(table.content)} from {table.name} order by {key_of(table)}")
        .to_pylist()
        for table in gold.STAR
    }


@dataclass
class Ended:
    """How a command line ended."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def command(lake: Lakehouse, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs `export` on the lake; `environment` holds for this command."""

    def run(*words: str, **environment: str) -> Ended:
        with pytest.MonkeyPatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            code = main(["export", "--lake", lake.settings.lake, *words])
        told = capfd.readouterr()
        assert "--debug" in words or "Traceback" not in told.err
        return Ended(code, told.out, told.err)

    return run


def copied(lake: Lakehouse, to: Path) -> Lakehouse:
    """The same lake in a folder of its own."""
    shutil.copytree(lake.settings.lake, to)
    return Lakehouse.open(lake=str(to))


def test_the_batches_really_insert_update_and_delete_in_gold(lake: Lakehouse) -> None:
    seen = {name: {c for s in lake.history() for c in ("inserted", "updated", "deleted")
                   if s["tables"][name][c]} for name in lake.tables}  # fmt: skip
    assert seen["gold.songplays"] == {"inserted", "updated", "deleted"}
    assert seen["gold.users"] == {"inserted", "updated"}
    assert "deleted" in seen["gold.artists"]


def test_any_batch_after_any_other_leaves_exactly_its_tables(lake: Lakehouse, uri: str) -> None:
    expected = {batch: in_lake(lake, batch) for batch in range(1, 5)}
    assert expected[1] != expected[2] != expected[3] != expected[4]
    how = []
    for batch in (1, 1, 2, 3, 4, 2, 4, 1, 3, 1):
        how.append(lake.export(uri, batch=batch).how)
        assert in_target(uri) == expected[batch]
    assert how == ["full", "nothing", *["changes"] * 8]


def test_only_rows_that_changed_are_written(lake: Lakehouse, uri: str) -> None:
    lake.export(uri, batch=3)
    before = dict(ask(uri, "select user_id, xmin::text from sparkify.users"))
    done = lake.export(uri)
    after = dict(ask(uri, "select user_id, xmin::text from sparkify.users"))
    assert {user for user in after if after[user] != before[user]} == {50}
    counts = {"inserted": 0, "updated": 1, "deleted": 0, "rows": len(after)}
    assert (done.how, done.from_batch, done.batch_id, done.tables["users"]) == ("changes", 3, 4, counts)
    assert not any(done.tables["songplays"][c] for c in ("inserted", "updated", "deleted"))


def test_tables_are_declared_as_the_catalogue_says(lake: Lakehouse, uri: str) -> None:
    lake.export(uri, schema="star")
    types = {"string": "text", "int": "integer", "double": "double precision", "bigint": "bigint",
             "timestamp": "timestamp with time zone"}  # fmt: skip
    for table in gold.STAR:
        name = f"'star.{table.name.partition('.')[2]}'::regclass"
        columns = ask(uri, f"""select attname::text, format_type(atttypid, atttypmod), attnotnull,
            col_description(attrelid, attnum) from pg_attribute where attrelid = {name} and attnum > 0
            order by attnum""")  # fmt: skip
        ours = [c for c in table.columns if not c.name.startswith("_")]
        assert columns == [(c.name, types[c.type], c.required, c.comment) for c in ours]
        assert ask(uri, f"select obj_description({name})") == [(table.grain,)]


def test_keys_references_and_indexes_are_those_of_a_star(lake: Lakehouse, uri: str) -> None:
    lake.export(uri)
    found = ask(
        uri,
        """select conrelid::regclass::text || ' ' || pg_get_constraintdef(oid)
        from pg_constraint where connamespace = 'sparkify'::regnamespace and contype in ('p', 'f')""",
    )
    plays, to = "sparkify.songplays FOREIGN KEY", "REFERENCES sparkify."
    assert {text for (text,) in found} == {
        "sparkify._lakehouse PRIMARY KEY (lake_id)",
        "sparkify.artists PRIMARY KEY (artist_id)",
        "sparkify.songplays PRIMARY KEY (songplay_id)",
        "sparkify.songs PRIMARY KEY (song_id)",
        'sparkify."time" PRIMARY KEY (start_time)',
        "sparkify.users PRIMARY KEY (user_id)",
        f"{plays} (artist_id) {to}artists(artist_id)",
        f"{plays} (song_id) {to}songs(song_id)",
        f'{plays} (start_time) {to}"time"(start_time)',
        f"{plays} (user_id) {to}users(user_id)",
        "sparkify.songs FOREIGN KEY (artist_id) REFERENCES sparkify.artists(artist_id)",
    }
    indexes = ask(uri, "select tablename || '.' || indexname from pg_indexes where schemaname = 'sparkify'")
    assert {name for (name,) in indexes if name.endswith("_idx")} == {
        *(f"songplays.songplays_{c}_idx" for c in ("artist_id", "song_id", "start_time", "user_id")),
        "songs.songs_artist_id_idx",
    }


@pytest.mark.parametrize("what", ["statement", "copy"])
@pytest.mark.parametrize("first", [True, False], ids=["the first", "a later"])
def test_an_export_killed_at_any_point_wrote_nothing_and_the_next_one_writes_all(
    lake: Lakehouse, uri: str, what: str, first: bool
) -> None:
    batches: dict[int | None, Any] = {None: {}, 1: in_lake(lake, 1), 4: in_lake(lake, 4)}
    held: int | None = None
    if not first:
        held = 1
        lake.export(uri, batch=held)
    points = {("statement", True): (1, 2, 4, 6, 9, 11, 13, 14), ("statement", False): (3, 5, 8, 12, 17, 22),
              ("copy", True): (1, 3, 5), ("copy", False): (1, 5)}[what, first]  # fmt: skip
    words = [sys.executable, "-c", KILLED, lake.settings.lake, uri, what]
    pipe = subprocess.PIPE
    with subprocess.Popen([*map(str, words)], cwd=ROOT, text=True, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in points:
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "-9\n", number
            assert (in_target(uri) if ask(uri, TABLES) else {}) == batches[held]
        process.stdin.close()
    assert lake.export(uri).how == ("full" if first else "changes")
    assert in_target(uri) == batches[4]
    assert lake.export(uri).how == "nothing"
    assert in_target(uri) == batches[4]


@pytest.mark.essential
def test_the_command_tells_what_it_did_and_the_second_time_that_there_was_nothing(
    command: Callable[..., Ended], uri: str
) -> None:
    first = command("--to", uri, "--batch", "1")
    assert first.code == 0
    assert first.stdout.splitlines()[0].split() == ["table", "inserted", "updated", "deleted", "rows"]
    assert ["songplays", "39", "0", "0", "39"] in [line.split() for line in first.stdout.splitlines()]
    assert "schema sparkify holds batch 1: all rows" in first.stderr
    again = command("--to", uri, "--batch", "1")
    assert (again.code, again.stdout) == (0, "")
    assert "nothing to do" in again.stderr
    changed = json.loads(command("--to", uri, "--format", "json").stdout)
    assert (changed["from_batch"], changed["batch_id"], changed["how"]) == (1, 4, "changes")


def test_a_password_in_the_address_is_refused_and_never_shown(
    command: Callable[..., Ended], uri: str
) -> None:
    given = [
        "postgresql://me:s3cr3t@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?user=me&password=s3cr3t",
        "postgresql://127.0.0.1:1/db?user=me&pass%77ord=s3cr3t",
        "postgresql://127.0.0.1:1/db?user=me&PASSWORD=s3cr3t",
        "postgresql://127.0.0.1:1/db?user=me& password =s3cr3t",
        "postgresql://me%3As3cr3t@127.0.0.1:1/db",
        "postgresql://me:/s3cr3t@127.0.0.1:1/db",
        "postgresql://me:s3cr3t?@127.0.0.1:1/db",
        "postgresql://me:#s3cr3t@127.0.0.1:1",
    ]
    misplaced = [["--to", uri, given[0]], ["--to", uri, given[1]], ["--format", given[0]]]
    for words in [*(["--to", address] for address in given), *misplaced, ["--debug", "--to", given[0]]]:
        refused = command(*words)
        assert refused.code == 2
        assert "s3cr3t" not in refused.stdout + refused.stderr
    for address in given:
        assert "a password may not stand in the address" in command("--to", address).stderr
    assert "PGPASSWORD" in command("--to", given[0]).stderr
    assert check_address(uri) == uri
    for wrong in ("mysql://me@host/db", "host=127.0.0.1 dbname=db", ""):
        with pytest.raises(UsageError, match="expected an address such as"):
            check_address(wrong)


def test_an_address_without_a_database_is_refused_unless_the_environment_names_one(
    server: Server, command: Callable[..., Ended], uri: str
) -> None:
    database = uri.partition("@/")[2].partition("?")[0]
    for address in (server.uri(""), f"postgresql://postgres@?host={server.folder}"):
        refused = command("--to", address)
        assert (refused.code, refused.stdout) == (2, "")
        assert "the address names no database" in refused.stderr
        assert command("--to", address, PGDATABASE=database).code == 0
    for short in ("postgresql://me@host:5432", "postgres://host", "postgresql://host/?dbname="):
        with pytest.raises(UsageError, match="the address names no database"):
            check_address(short)
    for whole in (
        f"{server.uri('')}&dbname={database}",
        "postgresql://[::1]:5432,b:1/db",
        "postgres://me@b:1/d@b",
    ):
        assert check_address(whole) == whole
    assert ask(server.uri("postgres"), TABLES) == []


def test_the_password_comes_from_the_environment_a_password_file_or_a_service_file(
    server: Server, command: Callable[..., Ended], uri: str, tmp_path: Path
) -> None:
    server.demand_password("clerk", "s3cr3t")
    database = uri.partition("@/")[2].partition("?")[0]
    asked = server.uri(database, "clerk")
    without = command("--to", asked)
    assert without.code == 2
    assert "no password supplied" in without.stderr
    assert "PGPASSWORD" in without.stderr
    wrong = command("--to", asked, "--debug", PGPASSWORD="n0pe")
    assert wrong.code == 2
    assert "password authentication failed" in wrong.stderr
    assert "n0pe" not in wrong.stderr
    passwords, services = tmp_path / "pgpass", tmp_path / "services"
    passwords.write_text(f"*:*:{database}:clerk:s3cr3t\n")
    passwords.chmod(0o600)
    services.write_text(f"[star]\nhost={server.folder}\ndbname={database}\nuser=clerk\npassword=s3cr3t\n")
    assert command("--to", asked, PGPASSWORD="s3cr3t").code == 0
    assert command("--to", asked, PGPASSFILE=str(passwords)).code == 0
    by_service = command("--to", "postgresql://?service=star", PGSERVICEFILE=str(services))
    assert (by_service.code, "nothing to do" in by_service.stderr) == (0, True)


def test_a_database_that_cannot_be_reached_is_one_paragraph(command: Callable[..., Ended], uri: str) -> None:
    for address, why in (
        ("postgresql://me@127.0.0.1:1/db", "Connection refused"),
        (uri.replace("@/", "@/no_such_"), "does not exist"),
    ):
        refused = command("--to", address)
        assert (refused.code, refused.stdout) == (2, "")
        assert why in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_tables_that_no_export_made_are_left_alone(lake: Lakehouse, uri: str) -> None:
    do(uri, "create schema sparkify", "create table sparkify.users (name text)")
    with pytest.raises(TargetError, match="it has users already, which no export made"):
        lake.export(uri)
    assert ask(uri, "select count(*) from pg_tables where schemaname = 'sparkify'") == [(1,)]


@pytest.mark.parametrize(
    "name", ['My "weird" schéma-1', "UPPER", "a.b", "'; drop table x; --", "a\\b", "é" * 31, "x" * 63]
)
def test_a_schema_may_have_any_name_that_postgresql_keeps(lake: Lakehouse, uri: str, name: str) -> None:
    assert [lake.export(uri, schema=name, batch=n).how for n in (1, 4, 4)] == ["full", "changes", "nothing"]
    assert in_target(uri, name) == in_lake(lake, 4)


def test_schemas_whose_names_differ_in_capitals_are_different_schemas(lake: Lakehouse, uri: str) -> None:
    do(uri, "create schema mixed", "create table mixed.users (name text)")
    assert [lake.export(uri, schema="Mixed").how for _ in range(2)] == ["full", "nothing"]
    assert in_target(uri, "Mixed") == in_lake(lake, 4)
    with pytest.raises(TargetError, match="schema mixed: it has users already, which no export made"):
        lake.export(uri, schema="mixed")


def test_a_schema_that_postgresql_cannot_name_so_is_refused_before_it_connects(
    command: Callable[..., Ended],
) -> None:
    nowhere = "postgresql://me@127.0.0.1:1/db"
    for name, why in (
        ("", "--schema: expected a name"),
        (
            "é" * 32,
            f"--schema: PostgreSQL keeps the first 63 bytes of a name, and this one has 64: {'é' * 32}",
        ),
    ):
        refused = command("--to", nowhere, "--schema", name)
        assert (refused.code, refused.stdout, why in refused.stderr) == (2, "", True)
    for name in ("a\0b", "a\udcffb"):
        with pytest.raises(UsageError, match="in characters that PostgreSQL can store"):
            check_schema(name)


def test_another_lakes_export_is_not_overwritten(lake: Lakehouse, uri: str, tmp_path: Path) -> None:
    lake.export(uri)
    other = made(tmp_path)
    with pytest.raises(TargetError, match="holds batch 4 of another lake"):
        other.export(uri)
    assert in_target(uri) == in_lake(lake, 4)
    assert other.export(uri, schema="other").how == "full"
    assert in_target(uri, "other") == in_lake(other, 4)


def test_a_lake_that_was_moved_goes_on_where_it_was(lake: Lakehouse, uri: str, tmp_path: Path) -> None:
    lake.export(uri, batch=1)
    moved = copied(lake, tmp_path / "there")
    assert moved.export(uri).how == "changes"
    assert ask(uri, "select lake from sparkify._lakehouse") == [(moved.settings.lake,)]
    assert in_target(uri) == in_lake(lake, 4)


def test_a_second_export_into_the_schema_waits_and_then_says_who_works(
    lake: Lakehouse, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PATIENCE", 0.5)
    done = list[Exported]()
    with transaction(uri) as target:
        exporting._lock(target, "sparkify")
        with pytest.raises(LeaseHeld, match="another export is writing to it"):
            lake.export(uri)
        monkeypatch.setattr(exporting, "PATIENCE", 30)
        waiting = threading.Thread(target=lambda: done.append(lake.export(uri)))
        waiting.start()
    waiting.join(60)
    assert [one.how for one in done] == ["full"]


@pytest.mark.parametrize("gone", ["its files", "its entry in the ledger"])
def test_when_the_recorded_batch_cannot_be_read_all_rows_are_written_anew_and_views_stay(
    lake: Lakehouse, uri: str, tmp_path: Path, gone: str
) -> None:
    lake = copied(lake, tmp_path / "lake")
    lake.export(uri, batch=1)
    do(uri, "create view public.loyal as select u.*, count(*) from sparkify.users u"
            " join sparkify.songplays using (user_id) group by u.user_id")  # fmt: skip
    if gone == "its files":
        names = ("gold.songplays", "gold.users")
        old = {f for n in names for f in lake.at(batch=1).files(n).uris}
        for file in old - {f for n in names for f in lake.at().files(n).uris}:
            Path(file).unlink()
    else:
        do(uri, "update sparkify._lakehouse set batch_id = 77")
    done = lake.export(uri)
    assert done.how == "full"
    assert done.why is not None
    assert "batch 1, which the target holds, cannot be read" in done.why or "knows batch 77" in done.why
    assert in_target(uri) == in_lake(lake, 4)
    assert len(ask(uri, "select * from public.loyal")) == 39
    assert lake.export(uri).how == "nothing"


def test_a_batch_whose_files_are_gone_is_an_error_and_the_target_stays(
    lake: Lakehouse, uri: str, tmp_path: Path
) -> None:
    lake = copied(lake, tmp_path / "lake")
    files = lake.at(batch=1).files("gold.users").uris
    for file in set(files) - set(lake.at().files("gold.users").uris):
        Path(file).unlink()
    for held in (None, 4):
        with pytest.raises(
            LakehouseError, match=r"batch 1 cannot be read any more: .* of gold.users are gone"
        ):
            lake.export(uri, batch=1)
        assert (in_target(uri) if ask(uri, TABLES) else None) == (held and in_lake(lake, held))
        lake.export(uri)


def test_tables_declared_otherwise_are_made_anew(lake: Lakehouse, uri: str) -> None:
    lake.export(uri, batch=3)
    do(uri, "update sparkify._lakehouse set shape = 'of yesterday'", "alter table sparkify.users drop gender")
    assert lake.export(uri, batch=3).how == "full"
    assert in_target(uri) == in_lake(lake, 3)
    do(uri, "drop table sparkify.songplays")
    assert lake.export(uri, batch=4).how == "full"
    assert in_target(uri) == in_lake(lake, 4)


@pytest.mark.parametrize("what", ALTERED)
def test_tables_that_someone_altered_are_made_anew_whatever_batch_is_asked_for(
    lake: Lakehouse, command: Callable[..., Ended], uri: str, what: str
) -> None:
    lake.export(uri, batch=3)
    statement, why = ALTERED[what]
    for held in (3, 4):
        do(uri, statement)
        done = json.loads(command("--to", uri, "--format", "json").stdout)
        assert (done["how"], done["from_batch"], why in done["why"]) == ("full", held, True), done
        assert done["tables"]["songplays"]["inserted"] == done["tables"]["songplays"]["rows"] > 0
        assert in_target(uri) == in_lake(lake, 4)
    again = lake.export(uri)
    assert (again.how, again.why) == ("nothing", None)


def test_the_command_says_why_all_rows_were_written_anew(command: Callable[..., Ended], uri: str) -> None:
    command("--to", uri)
    do(uri, "delete from sparkify.songplays where user_id = 50")
    anew = command("--to", uri)
    assert anew.code == 0
    assert "someone added or deleted rows: songplays has 38: all rows were written anew\n" in anew.stderr
    assert "schema sparkify holds batch 4: all rows" in anew.stderr
    assert "nothing to do" in command("--to", uri).stderr


def test_what_a_user_added_to_the_tables_stays(lake: Lakehouse, uri: str) -> None:
    lake.export(uri, batch=3)
    do(uri, "alter table sparkify.users add note text", "update sparkify.users set note = 'mine'",
       "alter table sparkify.artists add gone text", "alter table sparkify.artists drop gone",
       "create index mine on sparkify.users (level)")  # fmt: skip
    assert [lake.export(uri).how for _ in range(2)] == ["changes", "nothing"]
    assert in_target(uri) == in_lake(lake, 4)
    assert ask(uri, "select distinct note from sparkify.users") == [("mine",)]


@pytest.mark.parametrize(
    ("altered", "depending", "named"),
    [
        ("alter table sparkify.users rename level to plan",
         "create view public.mine as select user_id, plan from sparkify.users",
         "on them: view mine depends on"),
        ("delete from sparkify.songplays where user_id = 50",
         "create table public.mine (u int references sparkify.users)",
         'constraint: Table "mine" references "users"'),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_of_writing_all_anew_is_named_with_what_to_do(
    lake: Lakehouse, command: Callable[..., Ended], uri: str, altered: str, depending: str, named: str
) -> None:
    lake.export(uri)
    do(uri, altered, depending)
    refused = command("--to", uri)
    assert (refused.code, refused.stdout) == (2, "")
    for words in ("error: someone ", ", so all rows are to be written anew", named, "can be dropped"):
        assert words in refused.stderr
    assert "CASCADE" not in refused.stderr
    do(uri, f"drop {' '.join(depending.split()[1:3])}")
    assert lake.export(uri).how == "full"
    assert in_target(uri) == in_lake(lake, 4)


def test_a_character_postgresql_cannot_store_is_named_as_the_cause(uri: str) -> None:
    do(uri, "create table public.texts (a text)")
    rows = pa.table({"a": ["b\0c"]}).to_reader()
    with pytest.raises(TargetError, match="A text holds a character that PostgreSQL cannot store"):  # noqa: SIM117
        with transaction(uri) as target:
            target.copy("public", "texts", rows)


def test_without_the_driver_one_sentence_names_what_to_install(
    lake: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with pytest.raises(UsageError, match=r"pip install 'sparkify-lakehouse\[postgres\]'"):
        lake.export("postgresql://me@127.0.0.1:1/db")


def test_a_role_that_may_not_write_is_told_so_and_by_whom(server: Server, lake: Lakehouse, uri: str) -> None:
    server.execute("create role guest login")
    guest = server.uri(uri.partition("@/")[2].partition("?")[0], "guest")
    with pytest.raises(TargetError, match=r"permission denied for database .* Nothing of this export"):
        lake.export(guest)
    grants: Callable[[str], str] = lambda what: f"create schema {what} authorization guest"  # noqa: E731
    do(uri, grants("ours"))
    assert lake.export(guest, schema="ours").how == "full"


def test_a_lake_in_a_bucket_is_exported_as_one_on_disk(
    s3: S3Server, lake: Lakehouse, uri: str, tmp_path: Path
) -> None:
    s3.bucket("exported")
    bucket = made(tmp_path, "s3://exported/lake")
    assert [bucket.export(uri, batch=batch).how for batch in (1, 4)] == ["full", "changes"]
    assert in_target(uri) == in_lake(lake, 4)


def test_rows_that_optimize_moved_to_other_files_are_not_written_again(uri: str, tmp_path: Path) -> None:
    lake = made(tmp_path)
    lake.export(uri, batch=3)
    assert lake.optimize().state is not None
    done = lake.export(uri)
    changed = {name: [t[c] for c in ("inserted", "updated", "deleted")] for name, t in done.tables.items()}
    assert (done.how, changed.pop("users")) == ("changes", [0, 1, 0])
    assert set(map(tuple, changed.values())) == {(0, 0, 0)}
    assert in_target(uri) == in_lake(lake, done.batch_id)
