"""The prompt of `query`, as a person at a terminal meets it."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import gold
from lakehouse import Lakehouse
from runtime.cli.prompt.parse import completions, is_complete, statements
from tests.support.checkout import ROOT, demonstrated, lines_without_times
from tests.support.deliveries import Deliveries, event, play
from tests.support.pages import blocks

pytestmark = pytest.mark.process

# Colours, cursor movements, modes: what a terminal does not show; the last is one cut in two.
UNSHOWN = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[=>]|\r")
BEGUN = re.compile(r"\x1b(\[[0-?]*)?\Z")
# A prompt that is ready switches this mode on. The line is painted again at its end, without it.
MODE, READY = "\x1b[?2004h", "(ready)"
# In the new process, not between fork and exec: the threads of an engine here do not stand a fork.
LOG_IN = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"
CTRL_C, CTRL_D, TAB, ENTER, UP = "\x03", "\x04", "\t", "\r", "\x1b[A"


class Terminal:
    """A process on a terminal of its own: what it shows, what is typed."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], stdout: int | None = None):
        self._side, theirs = pty.openpty()
        self.begun = time.monotonic()
        command = [sys.executable, str(ROOT / "lakehouse.py"), *words]
        self.process = subprocess.Popen(
            command if stdout is not None else [sys.executable, "-c", LOG_IN, *command],
            stdin=theirs, stdout=theirs if stdout is None else stdout, stderr=theirs,
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **environment},
        )  # fmt: skip
        os.close(theirs)
        self._raw = self._shown = ""

    def type(self, keys: str) -> None:
        os.write(self._side, keys.encode())

    def see(self, text: str) -> str:
        """Wait for a text; gives what was shown up to it."""
        give_up = time.monotonic() + 60
        while text not in self._shown:
            assert time.monotonic() < give_up, f"{text!r} is not in {self._shown!r}"
            self._read(0.1)
        seen, _, self._shown = self._shown.partition(text)
        return seen

    def ask(self, text: str, batch: int = 2) -> str:
        """Type a line; gives what was shown until the prompt of this batch is there again."""
        self.type(text + ENTER)
        return self.see(f"{READY}batch {batch}>")

    def ends(self) -> int:
        give_up = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < give_up, self._shown
            self._read(0.05)
        self._read(0)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._side)

    def _read(self, seconds: float) -> None:
        if not select.select([self._side], [], [], seconds)[0]:
            return
        try:
            self._raw += os.read(self._side, 65536).decode()
        except OSError:  # the other side is closed
            return
        cut = BEGUN.search(self._raw)
        whole, self._raw = (self._raw[: cut.start()], cut[0]) if cut else (self._raw, "")
        self._shown += UNSHOWN.sub("", whole.replace(MODE, READY))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """A lake of two batches: in the second, user 7 is paid and user 8 is there."""
    root = tmp_path_factory.mktemp("prompt")
    sources = Deliveries(root / "sources")
    made = sources.lake(root / "lake", "sail")
    sources.logs("1.json", [play()])
    made.run()
    paid = event("2018-11-03 10:00:00", sessionId=2, level="paid")
    sources.logs("2.json", [paid, event("2018-11-03 11:00:00", sessionId=3, userId="8")])
    made.run()
    return made


OpenTerminal = Callable[..., Terminal]


@pytest.fixture
def opened(lake: Lakehouse, tmp_path: Path) -> Iterator[OpenTerminal]:
    """Starts `query` on a terminal, with a state folder of this test, and waits for the prompt."""
    terminals = []

    def start(*words: str, stdout: int | None = None, **environment: str) -> Terminal:
        state = {"XDG_STATE_HOME": str(tmp_path / "state"), **environment}
        terminal = Terminal(["query", "--lake", lake.settings.lake, *words], state, stdout)
        terminals.append(terminal)
        terminal.see(READY)
        return terminal

    yield start
    for terminal in terminals:
        terminal.close()


def test_a_session_asks_goes_back_a_batch_and_leaves(opened: OpenTerminal) -> None:
    terminal = opened()
    shown = terminal.ask("select user_id, level from gold.users order by 1;")
    assert "7  paid\n      8  free\n(2 rows)\n" in shown
    terminal.ask(".batch 1", batch=1)
    terminal.ask(".format csv", batch=1)
    terminal.type("select user_id, level" + ENTER)
    terminal.see("->")
    assert terminal.ask("from gold.users;", batch=1).endswith("user_id,level\n7,free\n")
    terminal.ask(".batch")
    terminal.ask(".format json")
    assert '{"user_id": 7, "level": "paid"}' in terminal.ask(UP * 3)
    assert '[{"batch": 1}\n]' in terminal.ask("select 1 as batch; select 2 as more;")
    terminal.type("\\q" + ENTER)
    assert terminal.ends() == 0


def test_tab_completes_tables_columns_keywords_and_commands(opened: OpenTerminal) -> None:
    terminal = opened("--format", "csv")
    shown = terminal.ask(f"sel{TAB} count(*) as n from gold.songp{TAB} where sess{TAB} = 1;")
    assert shown.endswith("\nn\n1\n")
    shown = terminal.ask(f"\\d gold.user_{TAB}")
    assert "one row per user and uninterrupted stretch of one level; key user_id, valid_from\n" in shown
    assert "\nvalid_to,timestamp,yes," in shown
    assert "gold.users,one row per user of the app,2\n" in terminal.ask("\\d")
    terminal.ask(f".fo{TAB} js{TAB}")
    assert '[{"one": 1}\n]' in terminal.ask("select 1 as one;")
    terminal.type("select us" + TAB * 2)
    terminal.see("user_agent")
    terminal.see(READY)  # the line again, below the choice
    terminal.type(CTRL_C)
    terminal.see(READY)
    terminal.type(CTRL_D)
    assert terminal.ends() == 0


def test_mistakes_and_interrupts_end_nothing(opened: OpenTerminal) -> None:
    terminal = opened()
    for typed, told in (
        ("select * from gold.user;", "error: query: there is no table 'gold.user'"),
        ("drop table gold.users;", "this is a DROP statement"),
        (".batch 9", "There is no batch 9: the lake has batches 1 to 2."),
        (".batch x", "'x' is no number of a batch"),
        (".as-of 2001-01-01", "the first state, batch 1"),
        (".as-of soon", "'soon' is no time"),
        (".format xml", "'xml' is none of table, json, csv"),
        (".formt csv", "did you mean .format? .help lists them."),
        ("\\d gold.user", "did you mean gold.users? It holds:"),
        (".help", "TAB completes"),
        (";", ""),
    ):
        assert told in terminal.ask(typed)
    terminal.type("this is not meant" + CTRL_C)
    terminal.see(READY)
    terminal.type("select count(*) from range(1000000) a, range(1000000) b where a.range * b.range = -1;")
    terminal.type(ENTER)
    time.sleep(1)
    terminal.type(CTRL_C)
    terminal.see("stopped.")
    terminal.see(READY)
    assert "42" in terminal.ask("select 6 * 7 as answer;")
    terminal.type(".quit" + ENTER)
    assert terminal.ends() == 0


@pytest.mark.parametrize("word", ["quit", "exit", "EXIT;"])
def test_the_words_that_leave_other_prompts_leave_this_one(opened: OpenTerminal, word: str) -> None:
    terminal = opened()
    terminal.type(word + ENTER)
    assert terminal.ends() == 0


def test_what_was_typed_is_there_in_the_next_session_and_not_in_the_lake(
    opened: OpenTerminal, lake: Lakehouse, tmp_path: Path
) -> None:
    first = opened()
    first.ask("select 'remembered' as w;")
    first.type(CTRL_D)
    assert first.ends() == 0
    second = opened("--batch", "1", "--format", "json")
    assert '[{"w": "remembered"}' in second.ask(UP, batch=1)
    second.type(CTRL_D)
    assert second.ends() == 0
    history = tmp_path / "state" / "sparkify-lakehouse" / "query_history"
    assert "remembered" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0
    assert not list(Path(lake.settings.lake).rglob("*history*"))


def test_rows_go_to_a_file_and_the_prompt_to_the_terminal(opened: OpenTerminal, tmp_path: Path) -> None:
    with (tmp_path / "rows.json").open("wb") as rows:
        terminal = opened("--format", "json", stdout=rows.fileno())
        terminal.ask("select 1 as one;")
        terminal.type(CTRL_D)
        assert terminal.ends() == 0
    assert json.loads((tmp_path / "rows.json").read_text()) == [{"one": 1}]


def test_a_state_folder_that_cannot_be_made_costs_only_the_history(
    opened: OpenTerminal, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    terminal = opened(XDG_STATE_HOME=str(tmp_path / "file"))
    assert "42" in terminal.ask("select 6 * 7 as answer;")
    terminal.type(CTRL_D)
    assert terminal.ends() == 0


@pytest.mark.parametrize("after", [0, 0.001, 0.003, 0.01, 0.03, 0.1])
def test_a_prompt_that_is_terminated_ends_as_every_command_does(opened: OpenTerminal, after: float) -> None:
    terminal = opened()
    time.sleep(after)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.ends() == 143


def test_a_statement_on_the_command_line_is_interrupted_at_once(lake: Lakehouse, tmp_path: Path) -> None:
    endless = "select count(*) from range(1000000) a, range(1000000) b where a.range * b.range = -1"
    terminal = Terminal(["query", "--lake", lake.settings.lake, endless], {})
    time.sleep(3)
    terminal.type(CTRL_C)
    assert terminal.ends() == 130
    terminal.close()


def test_the_first_prompt_takes_little_more_work_than_the_libraries_it_imports(opened: OpenTerminal) -> None:
    begun = work_of_children()
    subprocess.run(
        [sys.executable, "-c", "import deltalake, duckdb, prompt_toolkit, pyarrow, rich"], check=True
    )
    imported = work_of_children()
    terminal = opened()
    terminal.type(CTRL_D)
    assert terminal.ends() == 0
    assert work_of_children() - imported < 5 * (imported - begun)  # an engine takes ten times as much


def work_of_children() -> float:
    """Processor seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_session_in_the_docs_is_what_the_prompt_shows(tmp_path_factory: pytest.TempPathFactory) -> None:
    made, _ = demonstrated(tmp_path_factory.getbasetemp())
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    (block,) = (block for block in blocks(page) if block.comment == "tested in: tests/cli/test_prompt.py")
    command, *asked = re.split(r"^batch \d+> ", block.text, flags=re.MULTILINE)
    assert command == "$ python lakehouse.py query\n"
    state = {"XDG_STATE_HOME": str(tmp_path_factory.mktemp("state")), "COLUMNS": "120"}
    terminal = Terminal(["query", "--lake", str(made / "data" / "lakehouse")], state)
    terminal.see(READY)
    for typed, _, shown in (part.partition("\n") for part in asked):
        terminal.type(typed + ENTER)
        if typed != ".quit":
            answered = lines_without_times(terminal.see(READY))
            assert [line for line in lines_without_times(shown) if line not in answered] == []
    assert terminal.ends() == 0
    terminal.close()


def test_a_lake_without_a_batch_is_told_before_any_prompt(tmp_path: Path) -> None:
    terminal = Terminal(["query", "--lake", str(tmp_path / "none")], {})
    assert "holds no published batch yet" in terminal.see(" run --lake")
    assert terminal.ends() == 2
    terminal.close()


def test_the_prompt_needs_no_engine_and_no_duckdb_before_the_first_statement(lake: Lakehouse) -> None:
    code = (
        "import sys, runtime.cli.prompt.terminal as t\n"
        "t.PromptSession.prompt = lambda *_, **_named: (_ for _ in ()).throw(EOFError)\n"
        "from runtime.cli.context import Invocation\n"
        f"t.converse(Invocation(lake={lake.settings.lake!r}), batch=None, as_of=None)\n"
        "print(sorted({'pyspark', 'pysail', 'duckdb', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("", True),
        ("  ", True),
        ("\\d", True),
        (".batch 3", True),
        ("quit", True),
        (" Exit; ", True),
        ("exits", False),
        ("select 1 as\nexit", False),
        ("select 1", False),
        ("select 1;", True),
        ("select 1; -- so", True),
        ("select 1; /* so */ ", True),
        ("select ';", False),
        ("select ';'", False),
        ('select 1 as ";"', False),
        ("select 1 -- ;", False),
        ("select /* ; ", False),
        ("select $$;$$", False),
        ("select 4 / 2 - 1;", True),
        ("select 1; select 2", False),
    ],
)
def test_a_semicolon_outside_of_texts_names_and_comments_ends_a_statement(text: str, complete: bool) -> None:
    assert is_complete(text) == complete


def test_several_statements_are_told_apart() -> None:
    assert statements("select ';' as a; ; -- no;\nselect 2 /* ; */ ;") == ["select ';' as a", "select 2"]


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("select * from gold.art", ["gold.artists"]),
        ("select * from GOLD.art", ["gold.artists"]),
        ("select u.is_c from gold.user_levels u where u.is_c", ["u.is_current"]),
        ("select 1 from gold.user_levels where user_levels.is_c", ["user_levels.is_current"]),
        ("select gold.user_levels.is_c", ["gold.user_levels.is_current"]),
        ("select is_cur", ["is_current"]),
        ("select 1 from gold.songs where is_cur", []),
        ("SEL", ["SELECT"]),
        ("sel", ["select"]),
        ("\\d silver.ev", ["silver.events"]),
        (".form", [".format"]),
        (".format c", ["csv"]),
        ("", None),
    ],
)
def test_a_word_becomes_what_it_may_mean_where_it_stands(before: str, wanted: list[str] | None) -> None:
    tables = {name: table.column_names for name, table in gold.TABLES.items()}
    commands = {"\\d": sorted(tables), ".format": ("table", "json", "csv"), ".help": ()}
    found = [text for text, _ in completions(before, tables, commands)]
    if wanted is None:
        assert {"select", "gold.users", "level"} <= set(found)
    else:
        assert found == wanted
