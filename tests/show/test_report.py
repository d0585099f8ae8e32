"""The report is one page that says what the lake says, whatever its records hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.errors import UsageError
from runtime.show.report.questions import QUESTIONS
from runtime.text.amounts import when
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, event, play, song

pytestmark = pytest.mark.process

HOSTILE = "</td><script>alert('x')</script>\u202e\x1b[31m"


class Outline(HTMLParser):
    """What a reader without eyes, or without a network, depends on."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.figures: list[list[str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "href" and tag == "a":
                self.links.append(value or "")
            elif name in ("src", "href", "xlink:href") and not (value or "").startswith(("#", "data:")):
                self.loads.append(value or "")
        if tag == "figure":
            self.figures.append([])
        elif self.figures:
            self.figures[-1].append(tag)


@pytest.fixture(scope="module")
def dirty_page(dirty_lake: Lakehouse) -> str:
    return dirty_lake.report()


def test_the_page_counts_what_status_counts(dirty_lake: Lakehouse, dirty_page: str) -> None:
    status = dirty_lake.status()
    for name, sizes in status["tables"].items():
        assert re.search(rf'id="{name}".*?· {sizes["rows"]:,} rows', dirty_page, re.DOTALL), name
    for reason, records in status["quarantine"].items():
        assert f"<code>{reason}</code>: {records:,} record" in dirty_page
    records = dirty_lake.history()[-1]["records"]
    assert f"{records['delivered']:,} records were delivered: {records['accepted']:,} accepted" in dirty_page


def test_the_page_loads_nothing_and_runs_no_script(dirty_page: str) -> None:
    outline = Outline(dirty_page)
    assert outline.loads == []
    assert "script" not in outline.tags
    assert "url(http" not in dirty_page


def test_headings_links_and_figures_lead_a_reader_without_a_mouse(dirty_page: str) -> None:
    outline = Outline(dirty_page)
    headings = [tag for tag in outline.tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == "h1"
    assert all(int(b[1]) - int(a[1]) <= 1 for a, b in pairwise(headings))
    assert {link.removeprefix("#") for link in outline.links} <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.figures
    assert all("figcaption" in inside and "svg" in inside for inside in outline.figures)


def test_hostile_texts_are_shown_and_not_obeyed(
    open_lake: Callable[..., Lakehouse], deliveries: Deliveries
) -> None:
    deliveries.logs("a.json", [play(song=HOSTILE, artist=HOSTILE, location=HOSTILE, userAgent=HOSTILE)])
    deliveries.logs("b.json", [event(firstName=HOSTILE, level=HOSTILE)])
    deliveries.songs("s.json", [song(title=HOSTILE, artist_name=HOSTILE)])
    deliveries.logs("<script>.json", ["{" + HOSTILE])
    lake = open_lake("a", deliveries)
    lake.run()
    page = lake.report()
    assert "<script" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;" in page


def test_the_page_of_an_older_batch_is_of_that_batch(
    open_lake: Callable[..., Lakehouse], deliveries: Deliveries
) -> None:
    lake = open_lake("a", deliveries)
    deliveries.logs("a.json", [play(userId="7", level="free")])
    lake.run()
    deliveries.logs("b.json", [play("2018-11-03 10:00:00", userId="7", level="paid")])
    lake.run()
    first, last = lake.report(batch=1), lake.report()
    assert "<dt>plays</dt><dd>1</dd>" in first
    assert "There is no batch before this one" in first
    assert "<dt>plays</dt><dd>2</dd>" in last
    assert "gold.users: ~1 since batch 1" in last
    assert "level: <del>free</del> → <ins>paid</ins>" in last
    with pytest.raises(UsageError, match="no batch 9"):
        lake.report(batch=9)


def test_a_full_refresh_counts_no_record_a_second_time(
    open_lake: Callable[..., Lakehouse], deliveries: Deliveries, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = open_lake("a", deliveries)
    for number in (1, 2):
        deliveries.logs(f"{number}.json", [play(sessionId=number), event(userId="none", sessionId=number)])
        lake.run()
        lake.run(full_refresh=True)
    assert "4 records were delivered: 2 accepted" in lake.report()
    assert "2 records were delivered: 1 accepted" in lake.report(batch=2)
    states = lake.history()
    counts = [[s["records"][o] for o in ("delivered", "accepted", "quarantined")] for s in states]
    assert counts == [[2, 1, 1], [0, 0, 0], [2, 1, 1], [0, 0, 0]]
    assert main(["history", "--lake", lake.settings.lake]) == 0
    rebuilt = [line.split() for line in capsys.readouterr().out.splitlines() if "full refresh" in line]
    assert [line[5:9] for line in rebuilt] == [["0", "0", "0", "0"]] * 2


def test_a_lake_without_plays_has_a_page_too(
    open_lake: Callable[..., Lakehouse], deliveries: Deliveries
) -> None:
    deliveries.songs("s.json", [song()])
    lake = open_lake("a", deliveries)
    lake.run()
    page = lake.report()
    assert "There are no plays in the lake yet." in page
    assert "<dt>newest event, UTC</dt><dd>never</dd>" in page


def test_the_command_writes_the_file_and_says_where(
    dirty_lake: Lakehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "report.html"
    words = ["report", "--lake", dirty_lake.settings.lake, "--out", str(out), "--format", "json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == {"out": str(out), "bytes": out.stat().st_size}
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("/proc/none/page.html", r"/proc/none: No such file or directory"),
        ("file/page.html", "a part of this path is a file"),
        ("file/new/page.html", "a part of this path is a file"),
        ("to_nowhere", r".*/none/page\.html: No such file or directory"),
    ],
)
def test_a_page_that_cannot_be_written_is_not_computed(
    dirty_lake: Lakehouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    out: str,
    why: str,
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "to_nowhere").symlink_to("none/page.html")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Lakehouse, "report", lambda *_: pytest.fail("it was computed"))
    assert main(["report", "--lake", dirty_lake.settings.lake, "--out", out]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert re.match(f"error: report: {out} cannot be written: {why}", told.err)
    assert "--out" in told.err


def test_a_link_to_a_page_yet_to_come_stays_a_link(dirty_lake: Lakehouse, tmp_path: Path) -> None:
    link = tmp_path / "link.html"
    link.symlink_to("page.html")
    assert main(["report", "--lake", dirty_lake.settings.lake, "--out", str(link)]) == 0
    assert link.is_symlink()
    assert (tmp_path / "page.html").stat().st_size > 0


def test_an_older_page_stays_where_the_new_one_cannot_be_computed(
    dirty_lake: Lakehouse, tmp_path: Path
) -> None:
    (tmp_path / "old.html").write_text("older")
    for name in ("old.html", "new.html"):
        words = ["report", "--lake", dirty_lake.settings.lake, "--batch", "99", "--out", str(tmp_path / name)]
        assert main(words) == 2
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old.html", "older")]


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_dash_writes_the_page_and_nothing_else_to_stdout(
    dirty_lake: Lakehouse,
    dirty_page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    form: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", "--lake", dirty_lake.settings.lake, "--out", "-", "--format", form]) == 0
    page = capsys.readouterr().out
    assert (page[:15], page[-7:]) == (dirty_page[:15], dirty_page[-7:])
    assert page.endswith("</html>")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["jinja2", "vl_convert"])
def test_without_the_extra_the_error_says_what_to_install(
    dirty_lake: Lakehouse, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=r"pip install 'sparkify-lakehouse\[report\]'"):
        dirty_lake.report()


def test_songs_that_share_a_title_are_told_apart(
    open_lake: Callable[..., Lakehouse], deliveries: Deliveries
) -> None:
    deliveries.songs("s.json", [song(), song(song_id="SONG2", artist_id="ARTIST2", artist_name="Another")])
    deliveries.logs("a.json", [play(), play(sessionId=2, artist="Another"), play(sessionId=3)])
    lake = open_lake("a", deliveries)
    lake.run()
    page = lake.report()
    assert "Notes (SONG1)" in page
    assert "Notes (SONG2)" in page
    assert lake.report() == page


def test_a_file_that_several_batches_share_is_one_file(
    open_lake: Callable[..., Lakehouse], deliveries: Deliveries
) -> None:
    deliveries.logs("a.json", [play(sessionId=n) for n in range(9)])
    lake = open_lake("a", deliveries, batch_bytes=1000)
    lake.run()
    assert len(lake.history()) > 1
    assert "log_data <b>1 file</b>" in lake.report()


def test_to_merge_files_hides_nothing_of_what_changed_last(
    open_lake: Callable[..., Lakehouse], deliveries: Deliveries
) -> None:
    lake = open_lake("a", deliveries)
    for hour in (10, 11):
        deliveries.logs(
            f"{hour}.json", [play(f"2018-11-02 {hour}:00:00", level="free" if hour == 10 else "paid")]
        )
        lake.run()
    taken_in = lake.history()[-1]["at"]
    before = lake.report()
    lake.optimize()
    after = lake.report()
    assert "optimize, published" in after
    for page in (before, after):
        assert "gold.songplays: +1 since batch 1" in page
        assert "gold.users: ~1 since batch 1" in page
        assert f"last files taken in, UTC</dt><dd>{when(taken_in)}</dd>" in page


def test_a_long_record_shows_what_its_rule_concerns_and_a_longer_one_how_long_it_is(
    open_lake: Callable[..., Lakehouse], deliveries: Deliveries
) -> None:
    deliveries.logs(
        "a.json", [event(song="x" * 2_000, userId="nobody"), event(song="y" * 9_000, userId="none")]
    )
    lake = open_lake("a", deliveries)
    lake.run()
    page = lake.report()
    assert "&#34;userId&#34;: &#34;nobody&#34;" in page
    assert re.search(r"y</bdi>… \(9,\d{3} characters\)", page)


@pytest.mark.parametrize(
    ("last", "unit", "lengths", "between"),
    [("2018-11-05", "day", 4, "2018-11-03"), ("2020-02-01", "month", 16, "2019-12-01")],
)
def test_a_day_or_month_without_plays_counts_none(
    open_lake: Callable[..., Lakehouse],
    deliveries: Deliveries,
    last: str,
    unit: str,
    lengths: int,
    between: str,
) -> None:
    deliveries.logs("a.json", [play(), play(f"{last} 10:00:00", sessionId=2)])
    lake = open_lake("a", deliveries)
    lake.run()
    asked = {question.title: question for question in QUESTIONS}
    rows = lake.sql(asked[f"Plays a {unit}, by level"].sql).to_pylist()
    assert [row["plays"] for row in rows] == [1, *[0] * (lengths - 2), 1]
    assert between in [str(row[unit]) for row in rows]
    other = "day" if unit == "month" else "month"
    assert lake.sql(asked[f"Plays a {other}, by level"].sql).num_rows == 0


def test_a_chart_of_days_is_the_same_in_every_time_zone() -> None:
    code = (
        "import datetime, sys; from runtime.show.report.charts import drawn; "
        "from runtime.show.report.questions import QUESTIONS; "
        "days = [{'day': datetime.date(2018, 11, n), 'level': 'free', 'plays': n} for n in (1, 2, 3)]; "
        "sys.stdout.write(drawn(QUESTIONS[0], days))"
    )
    charts = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "TZ": zone},
            capture_output=True,
            check=True,
            cwd=ROOT,
        ).stdout
        for zone in ("UTC", "America/New_York", "Asia/Kolkata")
    ]
    assert b"1 Nov 2018" in charts[0]
    assert charts[1:] == [charts[0], charts[0]]
