"""What `lake.run()` shows below its cell while it works, and that it shows nothing elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from lakehouse import Lakehouse
from runtime.sample import write_sample
from tests.support.checkout import lines_without_times
from tests.support.notebooks import environment_of, execute

pytestmark = pytest.mark.process

RUN = "from lakehouse import Lakehouse\nreport = Lakehouse.open().run()"


class Watched(NotebookClient):
    """Keeps what every state of an output showed, by MIME type, oldest first."""

    states: ClassVar[list[dict[str, str]]] = []

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] in ("display_data", "update_display_data"):
            self.states.append(msg["content"]["data"])
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample data of three days for two batches: songs are delivered before logs."""
    root = tmp_path_factory.mktemp("progress")
    write_sample(root / "sample", events=300, songs=20, days=3)
    return root


@pytest.fixture(scope="module")
def cells(root: Path) -> list[Any]:
    """Two cells that run the lake; the second finds nothing new."""
    notebook = new_notebook(cells=[new_code_cell(RUN), new_code_cell(RUN)])  # type: ignore[no-untyped-call]
    execute(notebook, root, root, Watched)
    return list(notebook.cells)


def test_the_cell_ends_with_one_output_a_line_a_batch(cells: list[Any], root: Path) -> None:
    (output,) = cells[0].outputs
    shown = lines_without_times(output.data["text/plain"])
    batches = [s["batch_id"] for s in Lakehouse.open(lake=str(root / "lake")).history()]
    assert [int(line.split()[1].rstrip(":")) for line in shown] == batches
    assert shown[0].startswith("batch 1: 20 song_data + 3 log_data files; 320 records: 320 accepted")
    assert "<progress" not in output.data["text/html"]


def test_the_bar_goes_from_table_to_table_to_its_end(cells: list[Any]) -> None:
    shown = [state["text/html"] for state in Watched.states]
    at = [int(found[1]) for html in shown if (found := re.search(r'<progress value="(\d+)"', html))]
    assert at == list(range(len(Lakehouse.tables) + 1))
    (named,) = [html for html in shown if "gold.songplays" in html]
    assert re.search(
        rf"batch 1: 23 files, .* KiB, gold.songplays .\d+ of {len(Lakehouse.tables)} tables", named
    )


def test_a_run_with_nothing_to_do_shows_nothing(cells: list[Any]) -> None:
    assert cells[1].outputs == []


def test_outside_of_a_notebook_nothing_is_shown(root: Path) -> None:
    elsewhere = {"LAKEHOUSE_LAKE": str(root / "another"), "IPYTHONDIR": str(root / "ipython")}
    environment = os.environ | environment_of(root) | elsewhere
    for program in ([], ["-m", "IPython", "--quick"]):
        words = [sys.executable, *program, "-c", RUN]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("", "")
