"""What a notebook shows of a lake, a snapshot, a table and a diff."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from runtime.engine import Engine
from runtime.read.display import FIRST
from tests.support.deliveries import Deliveries, play, song

HOSTILE = "<script>alert(1)</script>\x1b[31m"


@pytest.fixture(scope="module")
def lake(engine: Engine, engine_name: str, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """Two batches; a song's title, an artist's name and a user's first name are markup."""
    folder = tmp_path_factory.mktemp("html")
    sources = Deliveries(folder / "sources")
    lake = sources.lake(folder / "<b>lake", engine_name)
    sources.songs("songs.json", [song(title=HOSTILE, artist_name="A & <B>")])
    sources.logs("1.json", [play(userId=str(n), sessionId=n, firstName=HOSTILE) for n in range(10)])
    lake.run()
    sources.logs("2.json", [play("2018-11-03 10:00:00", userId="1", level="paid", firstName="'\"")])
    lake.run()
    return lake


def cells(shown: str) -> list[str]:
    return re.findall(r"<td[^>]*>(.*?)</td>", shown)


def assert_is_escaped(shown: str) -> None:
    assert "<script" not in shown
    assert "<B>" not in shown
    assert "<b>lake" not in shown
    assert "\x1b" not in shown
    allowed = "p|b|br|i|table|thead|tbody|tr|th|td|details|summary"
    assert re.findall(rf"<(?!/?(?:{allowed})\b)", shown) == []


def test_a_table_shows_grain_batch_version_rows_columns_and_first_rows(lake: Lakehouse) -> None:
    view = lake.table("gold.users")
    shown = view._repr_html_()
    assert "<b>gold.users</b><br>one row per user of the app." in shown
    assert re.search(rf"As of batch 2, published [-\d]+ [:\d]+ UTC, version {view.version}, 10 rows", shown)
    for column in view.table.columns:
        assert column.name in cells(shown)
        assert column.comment.replace("'", "&#x27;") in cells(shown)
    assert cells(shown).count("&lt;script&gt;alert(1)&lt;/script&gt;[31m") >= FIRST - 1
    assert_is_escaped(shown)


def test_a_snapshot_shows_every_table_with_version_rows_and_grain(lake: Lakehouse) -> None:
    snapshot = lake.at(batch=1)
    shown = snapshot._repr_html_()
    assert "As of batch 1" in shown
    for name, version in snapshot.versions.items():
        rows = f"{snapshot.table(name).rows:,}"
        assert [name, str(version), rows, snapshot.tables[name].grain] in [
            cells(shown)[i : i + 4] for i in range(0, len(cells(shown)), 4)
        ]
    assert_is_escaped(shown)


def test_a_lake_shows_its_last_snapshot_and_an_empty_one_how_to_fill_it(
    lake: Lakehouse, tmp_path: Path
) -> None:
    assert lake._repr_html_() == lake.at()._repr_html_()
    empty = Lakehouse.open(lake=str(tmp_path / "<b>lake"))._repr_html_()
    assert "No batch is published yet" in empty
    assert_is_escaped(empty)


def test_a_diff_shows_counts_and_the_values_that_differ(lake: Lakehouse) -> None:
    shown = lake.diff(1, 2)._repr_html_()
    assert "<b>batch 1 → batch 2</b>" in shown
    assert "<summary>gold.users</summary>" in shown
    assert "<summary>gold.songs</summary>" not in shown
    found = cells(shown)
    at = found.index("gold.users")
    assert found[at : at + 4] == ["gold.users", "0", "1", "0"]
    windows = [found[i : i + 5] for i in range(len(found))]
    assert ["updated", "1", "level", "free", "paid"] in windows
    assert_is_escaped(shown)


def test_in_a_shell_each_is_a_line(lake: Lakehouse) -> None:
    assert repr(lake.table("gold.users")).startswith("<gold.users, one row per user of the app: batch 2, ")
    assert repr(lake.at(batch=1)).endswith("gold.user_levels>")
    assert repr(lake) == f"<lake {lake.settings.lake}>"
    assert repr(lake.diff(1, 1)) == "<batch 1 → 1: no difference>"
    assert "gold.users +0 ~1 -0" in repr(lake.diff(1, 2))
    shown = [lake, lake.at(), lake.table("gold.time"), lake.diff(1, 2)]
    assert all("\n" not in repr(one) for one in shown)
