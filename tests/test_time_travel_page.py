"""The story of docs/time-travel.md, told again."""

from __future__ import annotations

import re
from pathlib import Path

from docs.retell import PAGE, retold
from tests.checkout import lines_without_times


def lines(page: str) -> list[str]:
    """Without times, and without the length of lines, which depends on the folder."""
    return [re.sub("─+", "─", line) for line in lines_without_times(page)]


def test_the_commands_of_the_story_print_what_it_shows(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert lines(page) == lines(retold(page, tmp_path / "told-again"))
