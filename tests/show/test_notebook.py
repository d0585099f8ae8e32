"""The notebook is what its script says, runs on a filled lake, and shows what the lake holds."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from lakehouse import Lakehouse
from runtime.sample import write_sample
from tests.support.checkout import ROOT
from tests.support.notebooks import environment_of, execute

pytestmark = pytest.mark.long

NOTEBOOK = ROOT / "notebooks" / "explore.ipynb"
RUN = "from lakehouse import Lakehouse; Lakehouse.open().run()"
SCREENSHOTS = Path("data/screenshots")  # for whoever changes the notebook to look at
PNG = b"\x89PNG\r\n\x1a\n"


def read_notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def run_lake(root: Path) -> None:
    # Not in this process: it may run another engine already.
    subprocess.run([sys.executable, "-c", RUN], env=os.environ | environment_of(root), check=True)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake of two batches: songs and four days, then the fifth day."""
    root = tmp_path_factory.mktemp("notebook")
    write_sample(root / "sample", events=2_000, songs=100, days=5)
    today = max((root / "sample" / "log_data").rglob("*.json"))
    kept_back = today.rename(root / today.name)
    run_lake(root)
    kept_back.rename(today)
    run_lake(root)
    return root


@pytest.fixture(scope="module")
def lake(filled: Path) -> Lakehouse:
    return Lakehouse.open(lake=str(filled / "lake"))


@pytest.fixture(scope="module")
def outputs(filled: Path) -> list[Any]:
    """What the cells put out, in order."""
    notebook = read_notebook()
    execute(notebook, filled, NOTEBOOK.parent)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, SCREENSHOTS / "explore.ipynb")  # type: ignore[no-untyped-call]
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def shown(outputs: list[Any]) -> str:
    """All text of the outputs, runs of blanks as one."""
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs]
    return " ".join(" ".join(texts).split())


def printed(outputs: list[Any]) -> str:
    """The same with its lines."""
    return "\n".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)


def windows(rows: list[list[str]], length: int) -> list[list[list[str]]]:
    """All runs of so many rows, their cells without blanks."""
    cells = [[cell.strip() for cell in row] for row in rows]
    return [cells[at : at + length] for at in range(len(cells))]


def test_the_notebook_is_the_one_its_script_makes() -> None:
    # Ids are random, outputs are the reader's own: both may differ.
    scripted = jupytext.read(NOTEBOOK.with_suffix(".py"))
    pairs = [[(cell.cell_type, cell.source) for cell in n.cells] for n in (scripted, read_notebook())]
    assert pairs[0] == pairs[1], "run: .venv/bin/jupytext --to ipynb --update notebooks/explore.py"


def test_every_cell_runs_without_an_error_or_a_warning(outputs: list[Any]) -> None:
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []


def test_the_notebook_shows_the_counts_of_the_lake(outputs: list[Any], lake: Lakehouse) -> None:
    (found,) = lake.sql("""
        select count(*) as plays, count(distinct cast(start_time as date)) as days from gold.songplays
    """).to_pylist()
    assert f"{found['plays']:,} plays on {found['days']} days" in shown(outputs)
    for name, sizes in lake.status()["tables"].items():
        assert f"{name} {sizes['rows']} " in shown(outputs)
        assert lake.tables[name].grain in shown(outputs)


def test_yesterday_stands_beside_today(outputs: list[Any], lake: Lakehouse) -> None:
    counting = "select count(*) as n from gold.songplays"
    then, now = (lake.at(batch=b).sql(counting).to_pylist()[0]["n"] for b in (1, 2))
    assert f"gold.songplays {then} {now} {now - then}" in shown(outputs)


def test_a_user_whose_level_changed_is_shown_with_both_levels(outputs: list[Any], lake: Lakehouse) -> None:
    before, after = (lake.at(batch=b).sql("from gold.users").to_pylist() for b in (1, 2))
    was = {row["user_id"]: row["level"] for row in before}
    changed = [r for r in after if r["level"] != was.get(r["user_id"], r["level"])]
    first = min(changed, key=lambda row: row["user_id"])
    expected = f"user_id {first['user_id']} {was[first['user_id']]} {first['level']}"
    assert expected in shown(outputs)


def test_a_play_is_traced_to_the_lines_it_was_delivered_in(outputs: list[Any], lake: Lakehouse) -> None:
    delivered = lake.sql("""
        select e._source_file as file, e._source_line as line, s._source_file as song, start_time
        from gold.songplays p join silver.events e on event_id = songplay_id
        join silver.songs s using (song_id) order by start_time desc, event_id desc limit 1
    """).to_pylist()
    (found,) = delivered
    assert f"{found['file']} line {found['line']}" in shown(outputs)
    assert f"{found['song']} line 1" in shown(outputs)


def test_the_upgrade_that_is_followed_ends_in_paid(outputs: list[Any], lake: Lakehouse) -> None:
    upgrades = lake.sql("""
        select user_id, valid_from from (
            select *, lag(level) over (partition by user_id order by valid_from) as was from gold.user_levels
        ) where was = 'free' and level = 'paid'
    """).to_pylist()
    last = max(upgrades, key=lambda row: (row["valid_from"], -row["user_id"]))
    assert f"gold.users {last['user_id']} as of batch 2" in shown(outputs)


def test_what_the_last_batch_changed_is_counted(outputs: list[Any], lake: Lakehouse) -> None:
    counts = lake.diff(1, 2).summary["gold.songplays"]
    assert f"gold.songplays {counts['inserted']} {counts['updated']} {counts['deleted']}" in shown(outputs)


def test_pyspark_polars_and_duckdb_give_the_same_answer(outputs: list[Any], lake: Lakehouse) -> None:
    most = lake.sql("""
        select user_id, count(*) as n from gold.songplays group by user_id order by n desc, user_id limit 5
    """).to_pylist()
    for mark in ("|", "┆", "│"):
        rows = [line.strip(f"{mark}│ ").split(mark) for line in printed(outputs).splitlines() if mark in line]
        assert [[str(r["user_id"]), str(r["n"])] for r in most] in windows(rows, len(most)), mark


def test_the_charts_are_pictures_of_a_readable_size(outputs: list[Any]) -> None:
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 5
    for number, picture in enumerate(pictures, start=1):
        drawn = base64.b64decode(picture.data["image/png"])
        (SCREENSHOTS / f"explore-{number}.png").write_bytes(drawn)
        assert drawn.startswith(PNG)
        assert 300 < picture.metadata["image/png"]["width"] < 800  # pixels; a page is 800 wide


def test_without_data_the_first_cell_says_how_to_get_some(tmp_path: Path) -> None:
    for source in ("song_data", "log_data"):
        (tmp_path / "sample" / source).mkdir(parents=True)
    with pytest.raises(CellExecutionError, match="make demo") as stopped:
        execute(read_notebook(), tmp_path, ROOT)
    assert stopped.value.ename == "SystemExit"


def test_a_lake_without_plays_ends_it_with_a_sentence(tmp_path: Path) -> None:
    for source in ("song_data", "log_data"):
        (tmp_path / "sample" / source).mkdir(parents=True)
    (tmp_path / "sample" / "log_data" / "a.json").write_text("no record")
    run_lake(tmp_path)
    with pytest.raises(CellExecutionError, match="holds no plays yet") as stopped:
        execute(read_notebook(), tmp_path, ROOT)
    assert stopped.value.ename == "SystemExit"


def test_jupyterlab_opens_it_as_make_notebook_does(tmp_path: Path) -> None:
    (verb,) = re.findall(r"^notebook:.*\n\t@\$\(BIN\)/python -m (.*)", (ROOT / "Makefile").read_text(), re.M)
    environment = os.environ | {"JUPYTER_RUNTIME_DIR": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path)}
    words = [sys.executable, "-m", *verb.split(), "--no-browser", "--ServerApp.port=0"]
    with (log := tmp_path / "log").open("w") as told:
        server = subprocess.Popen(words, cwd=ROOT, env=environment, stderr=told, stdout=told)
    try:
        address, token = address_in(log, server)
        # What a browser would be sent to, and what is there.
        until(lambda: any("/tree/explore.ipynb" in page.read_text() for page in tmp_path.glob("*.html")), log)
        with urllib.request.urlopen(f"{address}api/contents/explore.ipynb?{token}") as answer:
            cells = json.load(answer)["content"]["cells"]
        assert [cell["source"] for cell in cells] == [cell.source for cell in read_notebook().cells]
    finally:
        server.terminate()
        server.wait(30)


def address_in(log: Path, server: subprocess.Popen[bytes]) -> tuple[str, str]:
    """Where the server says that it listens, and the token it wants."""
    told = re.compile(r"(http://127\S+/)lab\?(token=\w+)")
    until(lambda: server.poll() is not None or told.search(log.read_text()) is not None, log)
    found = told.search(log.read_text())
    assert found, log.read_text()
    return found[1], found[2]


def until(holds: Callable[[], bool], log: Path) -> None:
    """Waits for it, a minute at most."""
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up, log.read_text()
        time.sleep(0.2)
