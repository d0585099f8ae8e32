"""The worked example of a new table, done in a project that does not have it yet."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.checkout import ROOT, check_out, demonstrated, lines_without_times, python
from tests.pages import asked, blocks, edit

PAGE = (ROOT / "docs" / "adding-a-table.md").read_text(encoding="utf-8")


@pytest.fixture
def before(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A checkout without the table, and a lake of the demo's sample."""
    made, _ = demonstrated(tmp_path_factory.getbasetemp())
    copy = check_out(tmp_path / "project")
    shutil.copytree(made / "data" / "sample", copy / "data" / "sample")
    (copy / "gold" / "user_levels.py").unlink()
    layer = copy / "gold" / "__init__.py"
    without = layer.read_text(encoding="utf-8").replace(", user_levels, ", ", ")
    layer.write_text(without.replace("(*STAR, user_levels.TABLE)", "STAR"), encoding="utf-8")
    done = python(copy, "lakehouse.py", "run")
    assert done.returncode == 0, done.stdout
    assert "user_levels" not in done.stdout
    return copy


def test_every_block_of_the_page_does_what_it_shows(before: Path) -> None:
    ran = 0
    for block in blocks(PAGE):
        if block.comment.startswith(("file: ", "lines of: ")):
            edit(before, block)
        elif block.comment.startswith("part of: "):
            assert block.text in (ROOT / block.comment.removeprefix("part of: ")).read_text(encoding="utf-8")
        for words, shown in asked(block):
            done = python(before, "lakehouse.py", *shlex.split(words))
            assert done.returncode == 0, done.stdout
            printed = lines_without_times(done.stdout)
            assert [line for line in shown if line not in (*printed, "…", "")] == [], done.stdout
            ran += 1
    assert ran == 6


def test_after_the_page_the_layer_is_the_one_we_have(before: Path) -> None:
    for block in blocks(PAGE):
        if re.match(r"file: |lines of: ", block.comment):
            edit(before, block)
    for name in ("user_levels.py", "__init__.py"):
        assert (before / "gold" / name).read_text() == (ROOT / "gold" / name).read_text()
