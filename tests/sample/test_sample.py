"""The sample holds what it promises, and its truth is true of its files."""

import hashlib
import json
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from runtime.cli import main
from runtime.errors import UsageError
from runtime.sample import write_sample
from runtime.sample.cleaning import clean_text
from runtime.sample.dirt import KINDS

DAY_MS = 86_400_000
Record = dict[str, Any]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clean")
    write_sample(out)
    return out


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dirty")
    write_sample(out, dirty=True)
    return out


def truth_of(out: Path) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((out / "truth.json").read_text())
    return truth


def files(out: Path, folder: str) -> list[Path]:
    return sorted((out / folder).rglob("*.json"), key=lambda path: path.as_posix())


def log_lines(out: Path) -> list[str]:
    return [line for path in files(out, "log_data") for line in path.read_text().split("\n")]


def events_of(out: Path) -> list[Record]:
    return [json.loads(line) for line in log_lines(out)]


def songs_of(out: Path) -> list[Record]:
    return [json.loads(path.read_text()) for path in files(out, "song_data")]


def sessions_of(events: list[Record]) -> list[list[Record]]:
    sessions = defaultdict(list)
    for event in events:
        sessions[event["sessionId"]].append(event)
    return list(sessions.values())


def fingerprint(out: Path) -> dict[str, str]:
    found = (path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def broken_rules(record: Record) -> list[str]:
    user_id = record["userId"]
    is_number = str(user_id).isdigit()
    rules = {
        "user_id_is_integer": user_id == "" or is_number,
        "play_has_user": record["page"] != "NextSong" or is_number,
        "level_is_known": record["level"] in ("free", "paid"),
        "event_at_is_valid": isinstance(record.get("ts"), int),
    }
    return [name for name, holds in rules.items() if not holds]


def content(record: Record) -> Record:
    texts = {name: clean_text(v) for name, v in record.items() if isinstance(v, str)}
    return {**record, **texts, "userId": str(record["userId"])}


def read_events(out: Path) -> tuple[dict[tuple[int, int, int], list[Record]], Counter[str]]:
    """The valid records of each key in delivery order, and the reasons of the others."""
    valid, reasons = defaultdict(list), Counter[str]()
    for line in filter(None, log_lines(out)):
        try:
            record = json.loads(line)
        except ValueError:
            reasons["record_is_json_object"] += 1
            continue
        broken = broken_rules(record)
        reasons.update(broken)
        if not broken:
            key = (record["sessionId"], record["itemInSession"], record["ts"])
            valid[key].append(content(record))
    return valid, reasons


def digest_of(events: list[Record], songs: dict[str, Record]) -> str:
    by_match = {
        (clean_text(song["title"]), clean_text(song["artist_name"]), song["duration"]): song
        for _, song in sorted(songs.items(), reverse=True)
    }
    lines = []
    for e in events:
        song = by_match.get((e["song"], e["artist"], e["length"]))
        ids = f"{song['song_id']}|{song['artist_id']}" if song else "|"
        key = f"{e['sessionId']}|{e['itemInSession']}|{e['ts']}"
        lines.append(f"{key}|{e['userId']}|{e['level']}|{ids}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_sample(tmp_path / name, events=1_000, songs=50, days=5, dirty=True)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")


def test_the_bytes_are_those_of_every_machine_and_python(tmp_path: Path) -> None:
    write_sample(tmp_path, events=300, songs=20, days=3, dirty=True)
    found = json.dumps(fingerprint(tmp_path), sort_keys=True)
    # Changes when, and only when, the sample is meant to change.
    assert hashlib.sha256(found.encode()).hexdigest()[:16] == "f44e0f1012e8a0d0"


def test_another_seed_gives_other_data(tmp_path: Path) -> None:
    first = write_sample(tmp_path / "one", events=500, seed=1)
    second = write_sample(tmp_path / "two", events=500, seed=2)
    assert first["songplays_digest"] != second["songplays_digest"]


def test_a_new_sample_replaces_all_of_the_old_one(tmp_path: Path) -> None:
    write_sample(tmp_path / "one", events=500, songs=60, days=4, dirty=True)
    for name in ("one", "two"):
        write_sample(tmp_path / name, events=100, songs=10, days=2)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")


def test_the_sample_is_as_large_as_asked_for(clean: Path) -> None:
    assert len(songs_of(clean)) == 500
    assert len(events_of(clean)) == 8_000
    names = [path.name for path in files(clean, "log_data")]
    assert len(names) == 30
    assert (names[0], names[-1]) == ("2018-11-01-events.json", "2018-11-30-events.json")


@pytest.mark.parametrize("events", [1, 7, 300])
@pytest.mark.parametrize("days", [1, 2, 10])
def test_small_samples_have_every_event_and_every_day(tmp_path: Path, events: int, days: int) -> None:
    write_sample(tmp_path, events=events, songs=1, days=days)
    assert len(list(filter(None, log_lines(tmp_path)))) == events
    assert len(files(tmp_path, "log_data")) == days


def test_a_day_too_full_for_its_users_brings_new_ones(tmp_path: Path) -> None:
    truth = write_sample(tmp_path, events=3_000, songs=5, days=1)
    users = truth["users"]
    assert isinstance(users, dict)
    assert len(users) > 3_000 // 80


def test_no_file_ends_with_a_newline(clean: Path) -> None:
    data = [*files(clean, "song_data"), *files(clean, "log_data")]
    assert not [path for path in data if path.read_bytes().endswith(b"\n")]


def test_the_folders_of_a_song_are_letters_of_its_track(clean: Path) -> None:
    for path in files(clean, "song_data"):
        *_, first, second, third = path.parent.parts
        assert path.stem[:5] == f"TR{first}{second}{third}"
        assert len(path.stem) == 18


def test_the_records_have_the_fields_of_the_real_ones(clean: Path) -> None:
    song = "num_songs artist_id artist_latitude artist_longitude artist_location artist_name"
    assert list(songs_of(clean)[0]) == [*song.split(), "song_id", "title", "duration", "year"]
    log = "artist auth firstName gender itemInSession lastName length level location method page"
    rest = "registration sessionId song status ts userAgent userId"
    assert {tuple(e) for e in events_of(clean)} == {(*log.split(), *rest.split())}


def test_the_catalogue_is_as_uneven_as_the_real_one(clean: Path) -> None:
    songs = songs_of(clean)
    spellings = defaultdict(set)
    for song in songs:
        spellings[song["artist_id"]].add((song["artist_name"], song["artist_location"]))
    matches = Counter((s["title"], s["artist_name"], s["duration"]) for s in songs)
    assert {len(s["song_id"]) for s in songs} | {len(s["artist_id"]) for s in songs} == {18}
    assert len({s["song_id"] for s in songs}) == 500
    assert max(len(found) for found in spellings.values()) >= 3
    assert max(matches.values()) == 2
    assert 0.5 < sum(s["year"] == 0 for s in songs) / 500 < 0.7
    assert {s["artist_latitude"] is None for s in songs} == {True, False}
    assert any(s["artist_location"] == "" for s in songs)
    assert any("日本" in s["title"] for s in songs)
    assert all(path.read_bytes().isascii() for path in files(clean, "song_data"))


def test_every_kind_of_page_occurs_and_most_are_plays(clean: Path) -> None:
    pages = Counter(event["page"] for event in events_of(clean))
    others = "Home,Login,Logout,Settings,Help,About,Downgrade,Upgrade,Submit Upgrade"
    rest = "Submit Downgrade,Error,Save Settings,NextSong"
    assert set(pages) == {*others.split(","), *rest.split(",")}
    assert 0.8 < pages["NextSong"] / 8_000 < 0.9


def test_a_logged_out_row_names_no_person(clean: Path) -> None:
    rows = [event for event in events_of(clean) if event["userId"] == ""]
    person = ("firstName", "lastName", "gender", "location", "registration", "userAgent")
    assert rows
    assert {event[field] for event in rows for field in person} == {None}
    assert {event["level"] for event in rows} == {"free", "paid"}


def test_the_items_of_a_session_count_from_zero_in_time(clean: Path) -> None:
    for session in sessions_of(events_of(clean)):
        assert [event["itemInSession"] for event in session] == list(range(len(session)))
        instants = [event["ts"] for event in session]
        assert instants == sorted(set(instants))


def test_a_row_is_in_the_file_of_its_utc_day_and_sessions_cross_midnight(clean: Path) -> None:
    days = []
    for number, path in enumerate(files(clean, "log_data")):
        events = [json.loads(line) for line in path.read_text().split("\n")]
        assert {(e["ts"] - 1_541_030_400_000) // DAY_MS for e in events} == {number}
        days.append({event["sessionId"] for event in events})
    assert any(today & tomorrow for today, tomorrow in pairwise(days))


def test_a_new_level_shows_on_the_users_next_row_and_stays(clean: Path) -> None:
    shows: dict[str, str] = {}
    changes = 0
    for event in events_of(clean):
        user_id = event["userId"]
        if user_id:
            assert event["level"] == shows.get(user_id, event["level"])
            submitted = event["page"].startswith("Submit")
            changes += submitted
            other = "paid" if event["level"] == "free" else "free"
            shows[user_id] = other if submitted else event["level"]
    assert changes > 2


def test_a_users_person_fields_never_change(clean: Path) -> None:
    seen = defaultdict(set)
    for event in events_of(clean):
        fields = ("firstName", "lastName", "gender", "location", "registration", "userAgent")
        seen[event["userId"]].add(tuple(event[field] for field in fields))
    assert {len(found) for found in seen.values()} == {1}


def test_some_instants_are_shared_by_two_users(clean: Path) -> None:
    users = defaultdict(set)
    for event in events_of(clean):
        users[event["ts"]].add(event["userId"])
    assert any(len(found - {""}) == 2 for found in users.values())


def test_plays_match_the_catalogue_miss_it_by_length_or_are_unknown(clean: Path) -> None:
    exact = {(s["title"], s["artist_name"], s["duration"]) for s in songs_of(clean)}
    titles = {match[:2] for match in exact}
    plays = [event for event in events_of(clean) if event["page"] == "NextSong"]
    matched = [p for p in plays if (p["song"], p["artist"], p["length"]) in exact]
    near = [p for p in plays if (p["song"], p["artist"]) in titles]
    assert 0.25 < len(matched) / len(plays) < 0.35
    assert len(matched) < len(near) < len(plays)


def test_misdecoded_and_spoiled_plays_match_once_cleaned(clean: Path) -> None:
    exact = {(s["title"], s["artist_name"], s["duration"]) for s in songs_of(clean)}
    plays = [event for event in events_of(clean) if event["page"] == "NextSong"]
    damaged = [p for p in plays if clean_text(p["song"]) != p["song"]]
    mended = [p for p in damaged if (clean_text(p["song"]), clean_text(p["artist"]), p["length"]) in exact]
    assert any("\u00c3\u0083\u00c2" in p["song"] for p in mended)
    assert any(p["song"].startswith(" ") and "\x19" in p["song"] for p in mended)
    assert 0.005 < len(damaged) / len(plays) < 0.03


def test_slashes_are_escaped_and_agents_carry_quotes(clean: Path) -> None:
    text = "\n".join(log_lines(clean))
    assert "/" in text
    assert "/" not in text.replace("\\/", "")
    assert '"userAgent":"\\"Mozilla\\/5.0' in text
    assert any("/" in (event["song"] or "") for event in events_of(clean))


@pytest.mark.parametrize(("events", "days"), [(8_000, 30), (300, 3), (300, 40)])
def test_dirt_of_every_kind_occurs(tmp_path: Path, events: int, days: int) -> None:
    dirt = write_sample(tmp_path, events=events, days=days, dirty=True)["dirt"]
    assert isinstance(dirt, dict)
    songs = "song_without_title song_in_two_files late_song retitled_song renamed_song"
    others = {*songs.split(), "repeated_song", "integer_user_id", "empty_file"}
    assert {kind for kind, times in dirt.items() if times} == {*KINDS, *others}


def test_dirt_leaves_every_clean_record_as_it_was(clean: Path, dirty: Path) -> None:
    unquoted = Counter(line.replace('"', "") for line in log_lines(dirty))
    assert not Counter(line.replace('"', "") for line in log_lines(clean)) - unquoted


def test_dirt_is_in_the_files_as_promised(dirty: Path) -> None:
    lines = log_lines(dirty)
    assert any(line.endswith('"userId":"abc"}') for line in lines)
    assert any(line.startswith('{"userId"') for line in lines)
    assert any(line[-2].isdigit() for line in lines if line.endswith("}"))
    assert "" in lines
    assert any(not path.read_bytes() for path in files(dirty, "log_data"))
    assert len(files(dirty / "late", "song_data")) == 11
    delivered = {path.name for path in files(dirty, "song_data")}
    assert delivered.isdisjoint(path.name for path in files(dirty / "late", "song_data"))


@pytest.mark.parametrize("events", [400, 8_000])
@pytest.mark.parametrize("is_dirty", [False, True])
def test_the_truth_is_what_reading_the_files_gives(tmp_path: Path, events: int, is_dirty: bool) -> None:
    write_sample(tmp_path, events=events, songs=100, days=6, dirty=is_dirty)
    truth = truth_of(tmp_path)
    valid, reasons = read_events(tmp_path)
    rows = [records[-1] for records in valid.values()]
    plays = [row for row in rows if row["page"] == "NextSong"]
    songs = {song["song_id"]: song for song in songs_of(tmp_path) if song["title"]}
    users = {
        e["userId"]: e["level"]
        for e in sorted(rows, key=lambda e: (e["ts"], e["sessionId"], e["itemInSession"]))
        if e["userId"]
    }
    assert truth["users"] == users
    assert truth["songplays_digest"] == digest_of(plays, songs)
    assert truth["tables"]["silver.events"] == len(rows)
    assert truth["tables"]["gold.time"] == len({play["ts"] for play in plays})
    assert truth["tables"]["gold.artists"] == len({s["artist_id"] for s in songs.values()})
    titled = Counter({"title_is_present": 1} if is_dirty else {})
    assert truth["quarantine"] == reasons + titled
    lost = sum(record != rs[-1] for rs in valid.values() for record in rs)
    assert truth["records"]["superseded"] == lost + is_dirty
    if is_dirty:
        late = {song["song_id"]: song for song in songs_of(tmp_path / "late")}
        assert truth["after_late"]["songplays_digest"] == digest_of(plays, songs | late)
        assert truth["after_late"]["songplays_digest"] != truth["songplays_digest"]


def test_the_truths_counts_add_up(dirty: Path) -> None:
    truth = truth_of(dirty)
    for state in (truth, truth["after_late"]):
        records = dict(state["records"])
        assert records.pop("delivered") == sum(records.values())
        assert sum(state["users_by_level"].values()) == state["tables"]["gold.users"]
        assert len(state["users"]) == state["tables"]["gold.users"]
        assert len(state["artists"]) == state["tables"]["gold.artists"]
        assert state["plays_with_song"] < state["tables"]["gold.songplays"]
    lines = [line for line in log_lines(dirty) if line]
    assert truth["records"]["delivered"] == len(lines) + len(files(dirty, "song_data"))
    assert truth["records"]["quarantined"] == sum(truth["quarantine"].values())


def test_late_songs_bring_artists_and_rename_one(dirty: Path) -> None:
    before, after = truth_of(dirty), truth_of(dirty)["after_late"]
    assert after["tables"]["gold.artists"] > before["tables"]["gold.artists"]
    assert [i for i, name in before["artists"].items() if after["artists"][i] != name]
    assert after["records"]["duplicate"] == 1


def test_the_truth_on_disk_is_the_truth_returned(tmp_path: Path) -> None:
    truth = write_sample(tmp_path, events=300, songs=20, days=3, dirty=True)
    assert truth_of(tmp_path) == truth
    arguments = {"events": 300, "songs": 20, "days": 3, "seed": 1, "dirty": True}
    assert truth["arguments"] == arguments


def test_progress_is_told_after_each_day(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_sample(tmp_path, events=100, songs=5, days=4, progress=lambda *now: told.append(now))
    assert told == [(25, 100), (50, 100), (75, 100), (100, 100)]


@pytest.mark.parametrize("name", ["events", "songs", "days"])
def test_a_number_below_one_is_refused(tmp_path: Path, name: str) -> None:
    numbers = {"events": 5, "songs": 5, "days": 5, name: 0}
    with pytest.raises(UsageError, match=f"--{name} 0"):
        write_sample(tmp_path / "out", **numbers)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        write_sample(tmp_path, events=10)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        write_sample(tmp_path / "out", events=10)


def test_a_place_that_cannot_be_a_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "sample", Path("/proc/none")):
        assert main(["sample", "--out", str(out), "--events", "10"]) == 2
        assert capsys.readouterr().err.startswith(f"error: sample: {out} cannot be written: ")
