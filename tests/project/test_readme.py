"""The documentation says what is true: its generated parts, its commands, its worked example, its links."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from docs.generate import PAGES, updated
from lakehouse import Lakehouse
from runtime.engine import Engine
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, play, song
from tests.support.pages import blocks

README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = ("README", "CHANGELOG", "CONTRIBUTING")
DOCUMENTS = (*(ROOT / f"{name}.md" for name in NAMES), *sorted((ROOT / "docs").glob("*.md")))


@pytest.mark.engine
@pytest.mark.essential
def test_versions_of_the_history_are_what_spark_takes(
    engine: Engine, open_lake: Callable[..., Lakehouse], deliveries: Deliveries
) -> None:
    page = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    (block,) = [b for b in blocks(page) if b.comment == "tested in: tests/project/test_readme.py"]
    lake = open_lake("lake", deliveries)
    deliveries.songs("song.json", [song()])
    for number in (1, 2):
        deliveries.logs(f"{number}.json", [play(userId=str(number), sessionId=number)])
        lake.run()
    names: dict[str, object] = {"spark": engine.spark}
    exec(block.text.replace("data/lakehouse", lake.settings.lake), names)
    users = names["users"]
    assert [row.user_id for row in users.collect()] == [1]  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_generated_parts_are_what_the_code_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == updated(text), "run: python -m docs.generate"


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_every_link_to_a_file_finds_it(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_each_command_line_of_the_deployment_page_says_whether_it_was_run() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    before = re.findall(
        r"([^\n]*)\n\n```(?:sh|json|python|dockerfile)\n.*?^```$", page, re.DOTALL | re.MULTILINE
    )
    assert len(before) == page.count("\n```\n") >= 10
    assert [line for line in before if not line.endswith(("Run here.", "Not run here."))] == []


def test_the_first_sentence_of_the_readme_names_pyspark_and_delta_lake() -> None:
    title, _, sentence = [part for part in README.split("\n\n") if part][:3]
    assert title.startswith("# ")
    assert "PySpark" in sentence
    assert "Delta Lake" in sentence
