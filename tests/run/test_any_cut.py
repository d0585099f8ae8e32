"""However deliveries are split, ordered, repeated and cut into runs, gold and silver are the same."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from lakehouse import Lakehouse
from runtime.engine import Engine
from tests.support.comparing import DERIVED
from tests.support.deliveries import Deliveries, event, song
from tests.support.snapshots import contents

pytestmark = pytest.mark.long

LOGS, SONGS = "log_data", "song_data"
JUDGED = tuple(name for name in DERIVED if name != "silver.quarantine")
Record = dict[str, Any]


@dataclass(frozen=True)
class File:
    """A file as delivered: over one of the same name, if there is one. Then a run, if `is_cut`."""

    source: str
    name: str
    records: Sequence[Record]
    is_cut: bool = False

    @property
    def text(self) -> str:
        return "\n".join(json.dumps(record) for record in self.records)


# Out of so few keys, users and songs that they collide all the time.
TIMES = st.builds(
    "2018-1{}-0{} 10:00:0{}".format, st.sampled_from("12"), st.integers(1, 2), st.integers(0, 1)
)
ANY_LOG = st.builds(
    event,
    TIMES,
    sessionId=st.integers(1, 3),
    itemInSession=st.integers(0, 1),
    userId=st.sampled_from(["7", "8", "9", "", "x"]),
    level=st.sampled_from(["free", "paid", "gold"]),
    page=st.sampled_from(["NextSong", "NextSong", "Home"]),
    song=st.sampled_from(["A", "B"]),
    artist=st.just("The Engine"),
    length=st.just(200.5),
)
ANY_SONG = st.builds(
    song,
    song_id=st.sampled_from(["S1", "S2", "S3"]),
    title=st.sampled_from(["A", "B", ""]),
    artist_id=st.sampled_from(["R1", "R2"]),
    year=st.sampled_from([0, 1999]),
    artist_location=st.sampled_from(["", "London"]),
)
BATCH_BYTES = st.sampled_from([500, 2_000, 1_000_000])


def key_of(record: Record) -> tuple[Any, ...]:
    return tuple(record.get(name) for name in ("song_id", "sessionId", "itemInSession", "ts"))


@st.composite
def files_without_corrections(draw: st.DrawFn) -> list[File]:
    """Records of one content each, split over files in any order, some of them more than once."""
    files = []
    for source, record in ((LOGS, ANY_LOG), (SONGS, ANY_SONG)):
        records = draw(st.lists(record, min_size=1, max_size=6, unique_by=key_of))
        for number in range(draw(st.integers(1, 3))):
            some = draw(st.lists(st.sampled_from(records), min_size=1, max_size=5))
            files.append(File(source, f"{number}.json", some, draw(st.booleans())))
    return draw(st.permutations(files))


@st.composite
def files_with_corrections(draw: st.DrawFn) -> list[File]:
    """Files of records whose keys come again with other content, some over a file of the same name."""
    kinds = st.sampled_from([(LOGS, ANY_LOG), (LOGS, ANY_LOG), (SONGS, ANY_SONG)])
    files = []
    for source, record in draw(st.lists(kinds, min_size=2, max_size=6)):
        some = draw(st.lists(record, min_size=1, max_size=4))
        files.append(File(source, f"{draw(st.integers(0, 3))}.json", some, draw(st.booleans())))
    return files


@dataclass
class Shop:
    """Makes lakes in a folder of their own, and forgets them."""

    engine: str
    folder: Path
    made: int = 0

    def lake(self, files: Sequence[File], batch_bytes: int = 1_000_000) -> Lakehouse:
        """A lake of the files in the order given, run after each that is cut, and at the end."""
        self.made += 1
        sources = Deliveries(self.folder / f"sources{self.made}")
        lake = sources.lake(self.folder / f"lake{self.made}", self.engine, batch_bytes=batch_bytes)
        for file in files:
            (sources.log_data.parent / file.source / file.name).write_text(file.text, encoding="utf-8")
            if file.is_cut:
                lake.run()
        lake.run()
        return lake


@contextmanager
def shop(engine: str) -> Iterator[Shop]:
    folder = Path(tempfile.mkdtemp(prefix="any-cut"))
    try:
        yield Shop(engine, folder)
    finally:
        shutil.rmtree(folder)


def in_one_run(files: Sequence[File]) -> list[File]:
    """The same records, a file for each source."""
    return [
        File(source, "all.json", [r for f in files if f.source == source for r in f.records])
        for source in (LOGS, SONGS)
    ]


def fewest_cuts(files: Sequence[File]) -> list[File]:
    """The same deliveries with a run only where the next file would otherwise be listed before another."""
    kept, waiting = list[File](), dict[str, str]()
    for file in files:
        if file.name <= waiting.get(file.source, ""):
            kept[-1] = File(kept[-1].source, kept[-1].name, kept[-1].records, is_cut=True)
            waiting = {}
        waiting[file.source] = file.name
        kept.append(File(file.source, file.name, file.records))
    return kept


def with_cuts(files: Sequence[File]) -> list[File]:
    """The same files with a run after each that is cut, and wherever `fewest_cuts` needs one."""
    needed = fewest_cuts(files)
    return [
        File(f.source, f.name, f.records, f.is_cut or n.is_cut) for f, n in zip(files, needed, strict=True)
    ]


def prop(examples: int, *, seeded: bool) -> property_settings:
    """A few examples, always the same; or many, new ones each time, that shrink when one fails."""
    return property_settings(
        max_examples=examples,
        deadline=None,
        derandomize=seeded,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate] if seeded else list(Phase),
    )


def assert_any_split_is_one_run(engine: Engine, files: Sequence[File], batch_bytes: int) -> None:
    with shop(engine.name) as made:
        split, whole = made.lake(files, batch_bytes), made.lake(in_one_run(files))
        assert contents(split, tables=JUDGED) == contents(whole, tables=JUDGED)


def assert_cuts_do_not_matter(engine: Engine, files: Sequence[File], batch_bytes: int) -> None:
    with shop(engine.name) as made:
        cut, whole = made.lake(with_cuts(files), batch_bytes), made.lake(fewest_cuts(files))
        expected = contents(whole, tables=DERIVED)
        assert contents(cut, tables=DERIVED) == expected
        cut.run(full_refresh=True)
        assert contents(cut, tables=DERIVED) == expected


@pytest.mark.engine
@pytest.mark.long_on_spark
@pytest.mark.timeout(900)
@prop(2, seeded=True)
@given(files=files_without_corrections(), batch_bytes=BATCH_BYTES)
def test_records_split_ordered_and_repeated_give_what_one_run_gives(
    engine: Engine, files: list[File], batch_bytes: int
) -> None:
    assert_any_split_is_one_run(engine, files, batch_bytes)


@pytest.mark.engine
@pytest.mark.long_on_spark
@pytest.mark.timeout(900)
@prop(2, seeded=True)
@given(files=files_with_corrections(), batch_bytes=BATCH_BYTES)
def test_the_same_deliveries_cut_differently_give_the_same_tables(
    engine: Engine, files: list[File], batch_bytes: int
) -> None:
    assert_cuts_do_not_matter(engine, files, batch_bytes)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@prop(100, seeded=False)
@given(files=files_without_corrections(), batch_bytes=BATCH_BYTES)
def test_a_hundred_splits_of_records_give_what_one_run_gives(
    engine: Engine, files: list[File], batch_bytes: int
) -> None:
    assert_any_split_is_one_run(engine, files, batch_bytes)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@prop(100, seeded=False)
@given(files=files_with_corrections(), batch_bytes=BATCH_BYTES)
def test_a_hundred_cuts_of_corrections_give_the_same_tables(
    engine: Engine, files: list[File], batch_bytes: int
) -> None:
    assert_cuts_do_not_matter(engine, files, batch_bytes)
