"""Nothing in a record or a file name is taken for SQL, a path, a pattern or an order to a terminal."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.engine import Engine
from runtime.sources.listing import list_source
from tests.support.comparing import digests
from tests.support.deliveries import Deliveries, play, song

pytestmark = pytest.mark.process

CONTROLS = {chr(c) for c in (*range(32), *range(127, 160), 0x200E, 0x200F, *range(0x202A, 0x202F))} - {"\n"}
ESCAPE, BIDI = "\x1b]0;owned\x07\x1b[31m\x9b2J", "\u202egnp.exe\u2066"

# Texts that stay as they are; cleaning takes control characters out of the others.
TEXTS = (
    "'); drop table gold.users; --",
    "' or '1'='1",
    '"; delete from gold.users; --',
    "`; drop table x; `",
    "$(touch owned) `touch owned` ${env:HOME} ${x}",
    "%s %d %n {0} {raw} %(x)s",
    "\\'; select 1; --",
    "\\u0027 \\x27 \\",
    "/* comment */ -- comment",
    "../../etc/passwd",
    "a;b,c|d&e",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "null",
    "__HIVE_DEFAULT_PARTITION__",
    "日本 𝄞 é",
    "x" * 10_000,
)
NAMES = (
    "'); drop table gold.users; --.json",
    "a' or '1'='1.json",
    "back`tick.json",
    "$(touch owned)${env:HOME}.json",
    "100%25 %s {0}.json",
    "a b  c.json",
    "hash#mark?query=1&x=*[a-z].json",
    "back\\slash.json",
    "wow!.json",
    'double"quote.json',
    "new\nline\ttab\rreturn.json",
    f"{ESCAPE}{BIDI}.json",
    "日本é.json",
    f"{'x' * 240}.json",
    "=cmd.json",
    "-rf.json",
    "~.json",
    "a:b;c,d.json",
)


def deliver(sources: Deliveries, names: Sequence[str]) -> None:
    """Every text as every kind of name, in files of every name; and one record that is refused in each."""
    for number, name in enumerate(names):
        text = TEXTS[number % len(TEXTS)]
        fields: dict[str, Any] = {"song": text, "artist": text, "location": text, "userAgent": text}
        own: dict[str, Any] = {"sessionId": number, "userId": str(number), "firstName": text}
        refused = {**own, "itemInSession": 1, "level": f"{ESCAPE}{text}{BIDI}"}
        sources.logs(name, [play(**own, **fields), play(**refused, **fields)])
        named = {"song_id": f"S{text}", "artist_id": f"A{text}", "artist_location": text}
        sources.songs(name, [song(title=text, artist_name=text, **named)])


@pytest.fixture(scope="module")
def delivered(engine: Engine, engine_name: str, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    folder = tmp_path_factory.mktemp("texts")
    sources = Deliveries(folder / "sources")
    deliver(sources, NAMES)
    with zipfile.ZipFile(sources.log_data / "archive.zip", "w") as archive:
        for number, name in enumerate(NAMES):
            archive.writestr(f"day {name}", json.dumps(play(sessionId=100 + number, userId="7")))
    lake = sources.lake(folder / "lake", engine_name)
    assert lake.run().failed == []
    return lake


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_every_text_is_in_the_lake_as_it_was_delivered(delivered: Lakehouse) -> None:
    plays = delivered.sql("select session_id, song, artist, location, first_name from silver.events")
    expected = {n: TEXTS[n % len(TEXTS)] for n in range(len(NAMES))}
    found = [row for row in plays.to_pylist() if row["session_id"] < 100]
    assert {r["session_id"]: r["song"] for r in found} == expected
    assert all(r["song"] == r["artist"] == r["location"] == r["first_name"] for r in found)
    songs = delivered.sql("select song_id, title, artist_id from gold.songs").to_pylist()
    assert {(r["song_id"], r["title"], r["artist_id"]) for r in songs} == {
        (f"S{t}", t, f"A{t}") for t in TEXTS
    }
    linked = delivered.sql(
        "select session_id, song_id from gold.songplays where session_id < 100"
    ).to_pylist()
    assert {r["session_id"]: r["song_id"] for r in linked} == {n: f"S{text}" for n, text in expected.items()}


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_every_record_knows_its_file_by_its_very_name(delivered: Lakehouse) -> None:
    folder = str(delivered.settings.log_data)
    found = delivered.sql("select session_id, _source_file as file from silver.events").to_pylist()
    files = {f"{folder}/{name}": n for n, name in enumerate(NAMES)}
    members = {m.uri: 100 + n for n, name in enumerate(NAMES) for m in member_named(folder, f"day {name}")}
    assert {row["file"]: row["session_id"] for row in found} == {**files, **members}
    refused = delivered.sql("select _source_file as file, raw from silver.quarantine").to_pylist()
    assert {row["file"] for row in refused} == set(files)
    assert all(ESCAPE in json.loads(row["raw"])["level"] for row in refused)


def member_named(folder: str, name: str) -> list[Any]:
    listed = list_source("log_data", f"{folder}/archive.zip").files
    return [f for f in listed if f.path.endswith(f"!{name}")]


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_nothing_is_new_after_hostile_names_and_nothing_was_made_beside(delivered: Lakehouse) -> None:
    folder = Path(delivered.settings.lake).parent
    before = digests(folder)
    assert delivered.run().as_json() == {"new_files": 0, "batches": []}
    assert digests(folder) == before
    assert {path.name for path in folder.iterdir()} == {"lake", "sources"}
    assert not Path("owned").exists()


@pytest.mark.parametrize("format_", ["table", "json"])
@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "-v"],
        ["plan"],
        ["status"],
        ["history"],
        ["history", "gold.users"],
        ["query", "from silver.events"],
        ["query", "select raw, reasons, _source_file from silver.quarantine"],
        ["query", f"select '{ESCAPE}{BIDI}'"],
        ["query", f'select "{ESCAPE}{BIDI}" from gold.users'],
        ["query", f'from "{ESCAPE}{BIDI}"'],
        ["quarantine", "list"],
        ["quarantine", "show", "level_is_known"],
        ["trace", "gold.songs", f"S{TEXTS[0]}"],
        ["trace", "gold.users", "11"],
        ["trace", "gold.songs", f"{ESCAPE}{BIDI}"],
        ["history", f"{ESCAPE}{BIDI}"],
        [f"{ESCAPE}{BIDI}"],
        ["run", f"--{ESCAPE}{BIDI}"],
        ["run", f"--set={ESCAPE}{BIDI}=1"],
        ["run", f"--log-data={ESCAPE}{BIDI}"],
        ["status", f"--lake=/nowhere/{ESCAPE}{BIDI}"],
    ],
    ids=lambda words: ascii(" ".join(words))[:60],
)
def test_no_command_hands_a_terminal_anything_it_would_obey(
    delivered: Lakehouse, capsys: pytest.CaptureFixture[str], words: list[str], format_: str
) -> None:
    chosen = delivered.settings
    options = [f"--lake={chosen.lake}", f"--song-data={chosen.song_data}", f"--log-data={chosen.log_data}"]
    given = [o for o in options if not any(w.startswith(o.partition("=")[0] + "=") for w in words)]
    main([*words, *given, f"--format={format_}"])
    ended = capsys.readouterr()
    assert ended.out + ended.err
    assert not set(ended.out + ended.err) & CONTROLS


def test_a_run_that_reports_hostile_files_hands_a_terminal_nothing(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = Deliveries(tmp_path / "sources")
    deliver(sources, NAMES[-6:])
    for name in NAMES:
        (sources.log_data / f"{name}.gz").write_bytes(b"not gzip")
    words = [
        f"--lake={tmp_path / 'lake'}",
        f"--song-data={sources.song_data}",
        f"--log-data={sources.log_data}",
    ]
    for line in (["plan"], ["run", "-v"], ["status"], ["run", "--retry-bad", "--format=json"]):
        main([*line, *words])
        ended = capsys.readouterr()
        assert not set(ended.out + ended.err) & CONTROLS
        assert "owned" in ended.out + ended.err
    assert main(["run", "--retry-bad", "--fail-fast", *words]) == 1
    assert not set(capsys.readouterr().err) & CONTROLS
