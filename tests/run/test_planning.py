"""What a run finds to do, how it is cut into batches, and what tells that the code has changed."""

from __future__ import annotations

import ast
import gzip
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import gold
from gold import users
from runtime.errors import SourceError
from runtime.ledger.facts import EMPTY, Facts, State
from runtime.run.plan import Batch, NewFile, Work, changed_since, cut_batches, find_work
from runtime.settings.load import Settings
from runtime.sources.inspection import Inspected
from runtime.sources.listing import Listed
from runtime.table import Deliver, Table, fingerprints
from runtime.table.schema import Column, delta_schema, parse_ddl
from silver import cleaning, events
from tests.support.deliveries import Deliveries

LAST = State(1, "run", None, "2026-01-01T00:00:00+00:00", {})


def find(sources: Deliveries, known: Facts = EMPTY, *, retry_bad: bool = False) -> Work:
    """The work at these sources."""
    return find_work(settings(sources), known, retry_bad=retry_bad)


def settings(sources: Deliveries) -> Settings:
    return Settings(lake="/none", song_data=str(sources.song_data), log_data=str(sources.log_data))


def planned(known: Facts, work: Work) -> Facts:
    """What the ledger says once this plan is written down, nothing taken in."""
    deliveries = {d.delivery: d for d in (*work.numbered, *work.touched)}
    bad = {(b.source, b.path): (b.signature, b.error) for b in work.bad}
    return Facts({**known.deliveries, **deliveries}, known.states, {**known.bad, **bad})


def taken_in(known: Facts, work: Work) -> Facts:
    """What the ledger says once this work is done."""
    base = known.last.batch_id if known.last else None
    done = [file.delivery for file in work.files]
    state = replace(LAST, batch_id=known.next_batch_id, base=base, deliveries=done)
    return replace(planned(known, work), states=(*known.states, state))


def told(work: Work) -> list[tuple[int, str, str, str]]:
    """Number, source, path and reason of each file to take in."""
    return [(f.delivery, f.listed.source, f.listed.path, f.reason) for f in work.files]


def touch(path: Path) -> None:
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))


def test_every_file_of_a_new_lake_is_new_and_songs_come_first_then_paths_by_their_bytes(
    deliveries: Deliveries,
) -> None:
    for name in ("z.json", "é.json", "Z.json", "a/b.json", "a.json", "\U0001f600.json", "\uffee.json"):
        deliveries.logs(name, ["{}"])
    deliveries.songs("zz.json", ["{}"])
    work = find(deliveries)
    paths = ["Z.json", "a.json", "a/b.json", "z.json", "é.json", "\uffee.json", "\U0001f600.json"]
    assert told(work) == [
        (1, "song_data", "zz.json", "new file"),
        *((number, "log_data", path, "new file") for number, path in enumerate(paths, 2)),
    ]
    assert [d.delivery for d in work.numbered] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (work.listed, work.bad, work.touched, work.is_empty) == (8, (), (), False)


def test_a_known_file_is_no_work_and_is_not_even_read(
    deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries.logs("a.json", ["{}"])
    known = taken_in(EMPTY, find(deliveries))
    monkeypatch.setattr("runtime.run.plan.inspect", lambda *_, **__: pytest.fail("it was read"))
    assert find(deliveries, known) == Work(listed=1)


def test_a_touched_file_is_no_work_and_is_remembered_under_its_new_signature(deliveries: Deliveries) -> None:
    file = deliveries.logs("a.json", ["{}"])
    known = taken_in(EMPTY, find(deliveries))
    touch(file)
    work = find(deliveries, known)
    assert work.is_empty
    assert [d.delivery for d in work.touched] == [1]
    assert [row["kind"] for row in work.rows()] == ["seen"]
    assert find(deliveries, planned(known, work)).touched == ()


def test_a_file_of_another_content_is_a_new_delivery_even_of_the_same_size(deliveries: Deliveries) -> None:
    deliveries.logs("a.json", ['{"a": 1}'])
    deliveries.logs("b.json", ["{}"])
    known = taken_in(EMPTY, find(deliveries))
    deliveries.logs("a.json", ['{"a": 2}'])
    work = find(deliveries, known)
    assert told(work) == [(3, "log_data", "a.json", "content changed")]
    assert [row["kind"] for row in work.rows()] == ["delivery"]


def test_an_older_content_that_comes_back_is_a_new_delivery(deliveries: Deliveries) -> None:
    known = EMPTY
    for number, text in enumerate(("{}", '{"a": 1}', "{}", '{"a": 1}'), start=1):
        file = deliveries.logs("a.json", [text])
        work = find(deliveries, known)
        reason = "new file" if number == 1 else "content changed"
        assert told(work) == [(number, "log_data", "a.json", reason)]
        known = taken_in(known, work)
    touch(file)
    work = find(deliveries, known)
    assert work.is_empty
    assert [d.delivery for d in work.touched] == [4]


def test_an_older_content_is_a_new_delivery_under_its_old_signature_too(deliveries: Deliveries) -> None:
    """As the ETag of an object in a bucket is, and the checksum of a member of an archive."""
    known, archive = EMPTY, deliveries.log_data / "a.zip"
    for number, text in enumerate(("{}", '{"a": 1}', "{}"), start=1):
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr("x.json", text)
        work = find(deliveries, known)
        assert [delivery for delivery, *_ in told(work)] == [number]
        known = taken_in(known, work)
    assert known.deliveries[1].signature == known.deliveries[3].signature
    assert find(deliveries, known).is_empty


def test_a_content_that_gave_way_to_one_never_taken_in_is_a_new_delivery_too(deliveries: Deliveries) -> None:
    deliveries.logs("a.json", ["{}"])
    known = taken_in(EMPTY, find(deliveries))
    deliveries.logs("a.json", ['{"a": 1}'])
    known = planned(known, find(deliveries, known))
    deliveries.logs("a.json", ["{}"])
    assert told(find(deliveries, known)) == [(3, "log_data", "a.json", "content changed")]


def test_a_renamed_file_and_one_of_the_same_name_elsewhere_are_new_files(deliveries: Deliveries) -> None:
    file = deliveries.logs("2018/a.json", ["{}"])
    known = taken_in(EMPTY, find(deliveries))
    deliveries.logs("2019/a.json", ["{}"])
    deliveries.songs("2018/a.json", ["{}"])
    file.rename(file.with_name("b.json"))
    assert told(find(deliveries, known)) == [
        (2, "song_data", "2018/a.json", "new file"),
        (3, "log_data", "2018/b.json", "new file"),
        (4, "log_data", "2019/a.json", "new file"),
    ]


def test_a_file_planned_but_never_taken_in_keeps_its_number(deliveries: Deliveries) -> None:
    deliveries.logs("b.json", ["{}"])
    known = planned(EMPTY, find(deliveries))
    deliveries.logs("a.json", ["{}"])
    work = find(deliveries, known)
    assert sorted(told(work)) == [
        (1, "log_data", "b.json", "listed before, not in the lake"),
        (2, "log_data", "a.json", "new file"),
    ]
    assert [d.delivery for d in work.numbered] == [2]
    (batch,) = cut_batches(work.files, 1_000)
    assert [piece.file.delivery for piece in batch] == [1, 2]


def test_a_file_taken_in_partly_goes_on_where_it_was_left(deliveries: Deliveries) -> None:
    deliveries.logs("a.json", ["{}"] * 100)
    known = planned(EMPTY, find(deliveries))
    known = replace(known, states=(replace(LAST, partial={"1": [150, 51]}),))
    (file,) = find(deliveries, known).files
    assert (file.delivery, file.reason, file.start, file.first_line) == (1, "partly taken in", 150, 51)


def test_an_unreadable_file_is_told_once_until_it_changes_or_is_asked_for(deliveries: Deliveries) -> None:
    packed = gzip.compress(b"{}\n" * 50)
    file = deliveries.log_data / "a.json.gz"
    file.write_bytes(packed[:-9])
    deliveries.logs("b.json", ["{}"])
    first = find(deliveries)
    assert [(b.source, b.path) for b in first.bad] == [("log_data", "a.json.gz")]
    assert [path for _, _, path, _ in told(first)] == ["b.json"]
    known = taken_in(EMPTY, first)
    assert find(deliveries, known).is_empty
    again = find(deliveries, known, retry_bad=True)
    assert (len(again.bad), again.files, again.is_empty) == (1, (), False)
    file.write_bytes(packed[:-8])
    (changed,) = find(deliveries, known).bad
    assert changed.signature != first.bad[0].signature
    file.write_bytes(packed)
    assert told(find(deliveries, known)) == [(2, "log_data", "a.json.gz", "new file")]


def test_an_unreadable_file_that_went_away_is_forgotten(deliveries: Deliveries) -> None:
    file = deliveries.log_data / "a.json.gz"
    file.write_bytes(b"no archive")
    known = taken_in(EMPTY, find(deliveries))
    file.unlink()
    gone = find(deliveries, known)
    assert (gone.gone, gone.is_empty, gone.files) == ((("log_data", "a.json.gz"),), False, ())
    assert gone.rows() == [{"kind": "bad", "source": "log_data", "path": "a.json.gz"}]
    assert find(deliveries, replace(known, bad={})).is_empty


def test_a_source_that_is_missing_stops_and_one_that_is_not_set_is_not_read(deliveries: Deliveries) -> None:
    deliveries.logs("a.json", ["{}"])
    only_logs = settings(deliveries).model_copy(update={"song_data": None})
    assert len(find_work(only_logs, EMPTY).files) == 1
    with pytest.raises(SourceError):
        find_work(only_logs.model_copy(update={"song_data": "/none/there"}), EMPTY)


def test_files_that_change_after_they_were_listed_are_told(deliveries: Deliveries) -> None:
    files = [deliveries.logs(name, ["{}"]) for name in ("a.json", "b.json", "c.json")]
    listed = [file.listed for file in find(deliveries).files]
    assert changed_since(listed) == []
    touch(files[0])
    files[2].unlink()
    assert [file.path for file in changed_since(listed)] == ["a.json", "c.json"]


def new_file(delivery: int, size: int, line_starts: Sequence[int], *, whole: bool) -> NewFile:
    """A file of `size` bytes that can be entered at some lines, or at none."""
    starts = [] if whole else sorted({start for start in line_starts if 0 < start < size})
    marks = tuple((start, line) for line, start in enumerate(starts, 2))
    listed = Listed("log_data", f"{delivery}.json", f"/logs/{delivery}.json", size, "s")
    return NewFile(listed, Inspected("d", "lines", "utf-8", size, marks), delivery, "new file")


SIZES = st.integers(0, 300)
NEW_FILES = st.lists(
    st.tuples(SIZES, st.lists(st.integers(1, 300), max_size=12), st.booleans()), max_size=8
).map(lambda drawn: [new_file(n, size, at, whole=w) for n, (size, at, w) in enumerate(drawn, 1)])


@hypothesis_settings(deadline=None, derandomize=True, max_examples=300)
@given(files=NEW_FILES, batch_bytes=st.integers(1, 400), backwards=st.booleans())
def test_batches_hold_every_byte_of_every_file_once_in_order_and_are_bounded(
    files: list[NewFile], batch_bytes: int, backwards: bool
) -> None:
    batches = list(cut_batches(reversed(files) if backwards else files, batch_bytes))
    pieces = [piece for batch in batches for piece in batch]
    assert [p.file.delivery for p in pieces] == sorted(p.file.delivery for p in pieces)
    for file in files:
        assert_covered(file, [batch for batch in batches if any(p.file is file for p in batch)])
    for batch in batches:
        assert batch
        slices = [s for piece in batch for s in piece.slices if s.size]
        assert sum(s.size for s in slices) <= batch_bytes or len(slices) == 1


def assert_covered(file: NewFile, batches: Sequence[Batch]) -> None:
    """The file's pieces, one a batch, follow one another from its first byte to its last."""
    pieces = [[p for p in batch if p.file is file] for batch in batches]
    assert all(len(of_batch) == 1 for of_batch in pieces)
    assert [p.rest is None for (p,) in pieces] == [False] * (len(pieces) - 1) + [True]
    slices = [s for (p,) in pieces for s in p.slices]
    assert [s.start for s in slices] == [0, *(s.start + s.size for s in slices[:-1])][: len(slices)]
    assert sum(s.size for s in slices) == file.inspected.content_bytes
    lines = {0: 1, **dict(file.inspected.marks)}
    assert all(s.first_line == lines[s.start] for s in slices)
    for (piece,), (following,) in pairwise(pieces):
        assert piece.rest == (following.slices[0].start, following.slices[0].first_line)


def test_a_file_that_fits_into_no_batch_with_others_begins_its_own() -> None:
    small, large = new_file(1, 40, [], whole=True), new_file(2, 90, [], whole=True)
    assert [[p.file.delivery for p in b] for b in cut_batches([small, large], 100)] == [[1], [2]]
    assert [[p.file.delivery for p in b] for b in cut_batches([small, large], 130)] == [[1, 2]]
    assert list(cut_batches([], 100)) == []


def test_a_schema_is_read_from_ddl_with_comments() -> None:
    ddl = """
        a_id BIGINT not null comment 'the key, it''s ours; (x), not null',
        b string,
        c array<string> NOT NULL,
        d double comment ''
    """
    assert parse_ddl(ddl) == (
        Column("a_id", "bigint", required=True, comment="the key, it's ours; (x), not null"),
        Column("b", "string", required=False, comment=""),
        Column("c", "array<string>", required=True, comment=""),
        Column("d", "double", required=False, comment=""),
    )
    assert parse_ddl("  ") == ()


@pytest.mark.parametrize(
    "ddl",
    [
        "a",
        "a string b string",
        "a string comment 'open",
        "a string null",
        "a string, , b int",
        "a decimal(1,2)",
    ],
)
def test_a_schema_that_cannot_be_read_is_refused(ddl: str) -> None:
    with pytest.raises(ValueError, match="cannot read the schema at"):
        parse_ddl(ddl)


def test_a_schema_keeps_not_null_comments_and_types_in_delta() -> None:
    fields = delta_schema(parse_ddl("a int not null comment 'one', b array<string>, c timestamp")).fields
    assert [(f.name, f.nullable, f.metadata) for f in fields] == [
        ("a", False, {"comment": "one"}),
        ("b", True, {"comment": ""}),
        ("c", True, {"comment": ""}),
    ]
    types = [getattr(f.type, "type", None) for f in fields]
    assert (types[0], types[2]) == ("integer", "timestamp")


USERS = gold.TABLES["gold.users"]


def test_a_shape_is_columns_types_key_and_partitions_and_no_comment() -> None:
    def shape(schema: str = "a int not null comment 'x', b string") -> str:
        return fingerprints.shape(Table("t.t", "g", (), USERS.build, Deliver("s"), schema))

    assert shape() == shape("a int not null, b string comment 'y'")
    for other in ("a bigint not null, b string", "a int, b string", "b string, a int not null"):
        assert shape() != shape(other)
    assert "key (user_id)" in fingerprints.shape(USERS)
    assert len({fingerprints.shape(table) for table in gold.TABLES.values()}) == len(gold.TABLES) - 1


RulesOf = Callable[[str, ModuleType, str], str]


@pytest.fixture
def rules_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RulesOf:
    """The rules of a table as if a module's source were another text."""

    def rules_of(table: str, module: ModuleType, source: str) -> str:
        file = tmp_path / "changed.py"
        file.write_text(source, encoding="utf-8")
        with monkeypatch.context() as patched:
            patched.setattr(module, "__file__", str(file))
            return fingerprints.rules(gold.TABLES[table])

    return rules_of


def source_of(module: ModuleType) -> str:
    return Path(str(module.__file__)).read_text(encoding="utf-8")


def test_comments_and_docstrings_are_no_rules(rules_of: RulesOf) -> None:
    source = source_of(users)
    assert '"""The app' in source
    reworded = source.replace('"""The app', '"""Reworded: the app') + "# a comment\n"
    without = ast.unparse(fingerprints._without_docstrings(ast.parse(source)))
    rules = fingerprints.rules(USERS)
    assert [rules_of("gold.users", users, text) for text in (reworded, without)] == [rules, rules]


def test_another_predicate_or_another_way_to_clean_is_another_rule(rules_of: RulesOf) -> None:
    changed = source_of(users).replace("_rank = 1", "_rank = 2")
    assert rules_of("gold.users", users, changed) != fingerprints.rules(USERS)
    for table in ("silver.events", "silver.songs"):
        own = fingerprints.rules(gold.TABLES[table])
        assert rules_of(table, cleaning, source_of(cleaning) + "ROUNDS = 9\n") != own
        expectation = source_of(events).replace("user_id >= 0", "user_id >= 1")
        assert (rules_of(table, events, expectation) != own) == (table == "silver.events")


def test_a_rule_of_one_gold_table_is_no_rule_of_the_others(rules_of: RulesOf) -> None:
    before = {name: fingerprints.rules(table) for name, table in gold.TABLES.items()}
    for name, rules in before.items():
        assert rules_of(name, users, source_of(users) + "A = 1\n") == rules or name == "gold.users"


def test_the_list_of_a_layers_tables_is_no_rule_of_a_table_that_imports_from_it() -> None:
    seen: dict[str, str] = {}
    fingerprints._collect("gold.time", seen)
    assert "gold.time" in seen
    assert "gold" not in seen
