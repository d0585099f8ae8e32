"""docs/python.md says what is true: every block of it is run on the demo's lake."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.checkout import ROOT, check_out, demonstrated, python
from tests.pages import blocks


def test_every_block_of_the_page_gives_what_it_shows(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made, _ = demonstrated(tmp_path_factory.getbasetemp())
    folder = check_out(tmp_path / "project")
    shutil.copytree(made / "data", folder / "data")
    shutil.copy2(ROOT / "docs" / "python.md", folder)
    done = python(folder, "-m", "doctest", "-o", "ELLIPSIS", "python.md")
    assert done.returncode == 0, done.stdout


def test_the_page_has_no_block_that_is_not_run() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    shown = [block for block in blocks(page) if block.language == "python"]
    assert len(shown) == page.count("```") / 2
    assert all(block.text.startswith(">>> ") and block.text.endswith("\n\n") for block in shown)
