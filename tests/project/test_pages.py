"""Every page of the documentation does what it shows, and its pages lead from one to the next."""

from __future__ import annotations

import re
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest

from docs.retell import before_user_levels, retold, shows
from tests.support.checkout import ROOT
from tests.support.pages import BLOCK, PAGES, SCENE, blocks, edit, unheld

TOLD = [page for page in PAGES if SCENE.search(page.read_text(encoding="utf-8"))]


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[pytest.mark.long] * (p.name != "README.md")) for p in TOLD],
    ids=lambda page: page.name,
)
@pytest.mark.process
def test_every_command_and_python_block_of_a_page_does_what_it_shows(page: Path, root: Path) -> None:
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as short:  # a long name makes columns that do not fit into a page
        assert retold(text, Path(short) / "told", root) == text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_a_page_is_run_or_says_that_it_is_not(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert unheld(text) == []
    assert len(BLOCK.findall(text)) * 2 == len(re.findall("^```", text, re.MULTILINE))
    named = [block.name for block in blocks(text) if block.kind == "tested in"]
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize(
    ("shown", "printed", "is_so"),
    [
        (["a", "b"], ["a", "b"], True),
        (["a"], ["a", "b"], False),
        ([], ["a"], False),
        (["took 0.1 s"], ["took 0.9 s"], True),
        (["a", "…"], ["a", "b", "c"], True),
        (["…", "c"], ["a", "b", "c"], True),
        (["a", "…", "c"], ["a", "b", "c"], True),
        (["b", "…"], ["a", "b"], False),
        (["…", "b"], ["a", "b", "c"], False),
        (["a", "…", "d"], ["a", "b", "c"], False),
        (["…", "b", "…", "d"], ["a", "b", "c", "d"], True),
        (["…", "b", "…", "d"], ["b", "c", "a", "d", "b"], False),
        (["…", "b"], ["b", "a", "b"], True),
    ],
)
def test_a_line_of_dots_stands_for_lines_left_out_and_for_nothing_else(
    shown: list[str], printed: list[str], is_so: bool
) -> None:
    assert shows(shown, printed) is is_so


@pytest.mark.process
def test_after_the_worked_example_the_layer_is_the_one_we_have(tmp_path: Path, root: Path) -> None:
    before_user_levels(folder := tmp_path / "before", root)
    for block in blocks((ROOT / "docs" / "adding-a-table.md").read_text(encoding="utf-8")):
        if block.kind in ("file", "lines of"):
            edit(folder, block)
    for name in ("user_levels.py", "__init__.py"):
        assert (folder / "gold" / name).read_text() == (ROOT / "gold" / name).read_text()


def test_each_page_leads_to_the_next_in_the_order_of_the_index() -> None:
    listed = re.findall(
        r"^\d+\. \[(.+)\]\((.+)\)", (ROOT / "docs" / "README.md").read_text(encoding="utf-8"), re.M
    )
    for (_, name), (title, following) in pairwise(listed):
        last = (ROOT / "docs" / name).read_text(encoding="utf-8").rstrip().rpartition("\n")[2]
        assert last == f"Next: [{title}]({following})", name
    assert {name for _, name in listed} == {page.name for page in PAGES if page.name != "README.md"}
