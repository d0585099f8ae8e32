"""TAB after `python lakehouse.py`: what is offered, how soon, and that real shells take it."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from runtime.settings.model import KEYS
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, play
from tests.support.pages import blocks

pytestmark = pytest.mark.process

SCRIPT = ROOT / "lakehouse.py"
# What a shell does with the words before the cursor when TAB is pressed.
IN_BASH = """
{source}
COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; read -r -a COMP_WORDS <<< "$COMP_LINE"
[[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
compopt() {{ :; }}  # belongs to a shell that is typed into
_lakehouse_completion; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
IN_ZSH = """
compdef() {{ :; }}; compadd() {{ print -l -- ${{(P)@[-1]}}; }}; _describe() {{ print -l -- ${{(P)@[-1]}}; }}
_path_files() {{ print places; }}; _default() {{ print left to the shell; }}
{source}
words=(${{=:-{line}}}); [[ '{line}' == *' ' ]] && words+=('')
CURRENT=$#words; _lakehouse_completion
"""
IN_FISH = """
{source}
complete -C '{line}'
"""
SHELLS = {"bash": IN_BASH, "zsh": IN_ZSH, "fish": IN_FISH}
# How a shell that is typed into starts, and a `python` there that only notes what it is given.
PERSONAL = {
    "bash": ("bash --noprofile --norc -i", "python() { printf '%s\\n' \"$@\" >given; }"),
    "zsh": ("zsh -f -i", 'python() { print -l -- "$@" >given; }'),
    "fish": ("fish --private -i", "function python; string join \\n -- $argv >given; end"),
}
LOG_IN = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"
HERE = [pytest.param(name, id=name) for name in SHELLS if shutil.which(name)]


@pytest.fixture
def lake(open_lake: Callable[..., Lakehouse], deliveries: Deliveries) -> Lakehouse:
    """Two batches."""
    lake = open_lake("lake", deliveries)
    for number in (1, 2):
        deliveries.logs(f"{number}.json", [play(sessionId=number)])
        lake.run()
    return lake


def answer(line: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The process that a shell asks for the values of the last word of a line."""
    asked = {"_LAKEHOUSE_COMPLETE": "bash_complete", "_LAKEHOUSE_LINE": line}
    return subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={**os.environ, **asked, **environ},
        capture_output=True,
        text=True,
        check=True,
    )


def offered(line: str) -> list[str]:
    """The values for the last word of a line, as a shell is told them."""
    told = answer(line)
    assert told.stderr == ""
    return [item.removeprefix("plain,") for item in told.stdout.split()]


def typed(shell: str, line: str, folder: Path = ROOT) -> list[str]:
    """What a real shell offers after the documented line of its start-up file."""
    source = start_up(shell).replace("path/to/lakehouse.py", str(SCRIPT))
    done = subprocess.run(
        [shell, "-c", SHELLS[shell].format(source=source, line=line)],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    # What follows is help: fish parts it from the value by a tab, zsh by a colon.
    return [re.split("[\t:]", text)[0] for text in done.stdout.splitlines() if text]


def given(shell: str, line: str, folder: Path) -> list[str]:
    """What a program gets when TAB and Enter are pressed behind this line in a shell on a terminal."""
    start, python = PERSONAL[shell]
    loaded = "autoload -U compinit && compinit -u -D\r" if shell == "zsh" else ""
    source = start_up(shell).replace("path/to/lakehouse.py", str(SCRIPT))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", LOG_IN, *start.split()]
    process = subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, f"{loaded}{source}\r{python}\rpython {SCRIPT} {line}\t\r".encode())
    try:
        return until_written(folder / "given", ours)[1:]
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def until_written(file: Path, terminal: int) -> list[str]:
    """The lines of a file that a process on a terminal writes; what it shows is read, so that it goes on."""
    shown, give_up = b"", time.monotonic() + 60
    while not (file.exists() and file.read_text().endswith("\n")):
        assert time.monotonic() < give_up, shown
        if select.select([terminal], [], [], 0.05)[0]:
            shown += os.read(terminal, 65536)
    return file.read_text().splitlines()


def environment(home: Path) -> dict[str, str]:
    """Of a shell in which `python` is this one, and nobody's own settings count."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "TERM": "xterm"}


def start_up(shell: str) -> str:
    """The line that docs/commands.md gives for it."""
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    (line,) = [b.text for b in blocks(page) if f"{shell}_source" in b.text]
    return line.strip()


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("st", ["status"]),
        ("quarantine ", ["list", "show", "retry"]),
        ("run --full", ["--full-refresh"]),
        ("status --format ", ["table", "json", "csv"]),
        ("status --format=j", ["json"]),
        ("--engine ", ["sail", "spark"]),
        ("status --target ", ["cluster", "local", "s3"]),
        ("run --set batch", ["batch_bytes="]),
        ("history gold.u", ["gold.users", "gold.user_levels"]),
        ("--set engine=", ["engine=sail", "engine=spark"]),
        ("--set=engine=sp", ["engine=spark"]),
        ("--set s3.anonymous=", ["s3.anonymous=true", "s3.anonymous=false"]),
        ("--set batch_bytes=", []),
        ("--set spark.engine=", []),
        ("--set s3=", []),
        ("trace us", ["users", "user_levels"]),
        ("trace gold.so", ["gold.songplays", "gold.songs"]),
        ("trace s", ["songplays", "songs", "silver.songs", "silver.events", "silver.quarantine"]),
        ("diff 1 2 --table gold.so", ["gold.songplays", "gold.songs"]),
        ("verify --table=gold.ti", ["gold.time"]),
        ("diff 1 2 --table silver.", ["silver.songs", "silver.events", "silver.quarantine"]),
        ("verify --table so", ["songplays", "songs"]),
        ("optimize g", ["gold", *(name for name in Lakehouse.tables if name.startswith("gold."))]),
        ("quarantine show level", ["level_is_known"]),
        ("status --lake ", ["dir,"]),
        ("run --log-data data/", ["file,data/"]),
        ("run --watch soon --fail-f", ["--fail-fast"]),
        ("--version st", ["status"]),
    ],
)
def test_a_line_is_completed_by_what_may_stand_there(line: str, values: list[str]) -> None:
    assert sorted(offered(f"python lakehouse.py {line}")) == sorted(values)


def test_an_empty_word_is_offered_every_table_once_those_of_gold_without_their_layer() -> None:
    wanted = [name.removeprefix("gold.") for name in Lakehouse.tables]
    assert offered("python lakehouse.py trace ") == wanted


def test_all_settings_are_offered() -> None:
    assert offered("python lakehouse.py --set ") == [f"{key}=" for key in KEYS]


@pytest.mark.parametrize(
    "before", ["diff ", "diff 1 ", "pin ", "query 'select 1' --batch ", "restore --batch "]
)
def test_batches_of_the_lake_on_the_line_are_offered_newest_first(lake: Lakehouse, before: str) -> None:
    assert offered(f"python lakehouse.py --lake {lake.settings.lake} {before}") == ["2", "1"]


def test_a_lake_without_batches_or_in_a_bucket_offers_none(tmp_path: Path) -> None:
    for where in (tmp_path / "none", "s3://no-such-bucket/lake"):
        assert offered(f"python lakehouse.py diff --lake {where} ") == []


def test_an_answer_needs_no_engine(lake: Lakehouse) -> None:
    line = f"python lakehouse.py diff --lake {lake.settings.lake} "
    told = answer(line, PYTHONPROFILEIMPORTTIME="1").stderr
    loaded = {name.partition(".")[0] for name in re.findall(r"\| +([\w.]+)$", told, re.MULTILINE)}
    assert "runtime" in loaded
    assert not loaded & {"pyspark", "pysail", "duckdb", "pandas"}


@pytest.mark.parametrize("shell", HERE)
@pytest.mark.long
def test_a_real_shell_completes_after_its_documented_line(shell: str, lake: Lakehouse) -> None:
    assert typed(shell, "python lakehouse.py st") == ["status"]
    assert typed(shell, "python lakehouse.py trace us") == ["users", "user_levels"]
    assert typed(shell, f"python {SCRIPT} run --full") == ["--full-refresh"]
    assert typed(shell, f"python3 lakehouse.py --lake {lake.settings.lake} pin ") == ["2", "1"]


@pytest.mark.parametrize("shell", HERE)
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run --full", "run --full-refresh"),
        ("trace gold.songp", "trace gold.songplays"),
        ("status --format=j", "status --format=json"),
        ("--set batch_bytes=5 --set batch_b", "--set batch_bytes=5 --set batch_bytes="),
        ("--set engine=sp", "--set engine=spark"),
        ("--set=engine=sp", "--set=engine=spark"),
        ("status --lake=new/la", "status --lake=new/lake"),
        ("run --log-data=new/lo", "run --log-data=new/log.json"),
    ],
)
@pytest.mark.long
def test_tab_in_a_real_shell_makes_the_line_that_was_meant(
    shell: str, line: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "new" / "lake").mkdir(parents=True)
    (tmp_path / "new" / "log.json").touch()
    assert [word.removesuffix("/") for word in given(shell, line, tmp_path)] == words.split()


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish: apt-get install fish")
@pytest.mark.parametrize("name", ["python", "python3"])
def test_in_fish_the_options_of_python_itself_are_offered_to_everything_else(name: str) -> None:
    options = typed("fish", f"{name} lakehouse.py run --")
    assert options[0] == "--full-refresh"
    assert "--check-hash-based-pycs" not in options
    for line in (f"{name} -", f"{name} -W ", f"{name} other.py --", f"{name} lake"):
        plain = ["fish", "-c", f"complete -C '{line}'"]
        usual = subprocess.run(
            plain, cwd=ROOT, env=environment(ROOT), capture_output=True, text=True, check=True
        )
        assert typed("fish", line) == [text.partition("\t")[0] for text in usual.stdout.splitlines()]


@pytest.mark.parametrize("shell", HERE)
def test_another_program_of_that_name_is_neither_completed_nor_run(shell: str, tmp_path: Path) -> None:
    (tmp_path / "lakehouse.py").write_text("open('ran', 'w')\n")
    assert not {"status", "run"} & set(typed(shell, "python lakehouse.py st", tmp_path))
    assert not (tmp_path / "ran").exists()


def test_a_shell_that_is_not_known_is_told_which_are() -> None:
    asked = {**os.environ, "_LAKEHOUSE_COMPLETE": "tcsh_source"}
    ended = subprocess.run([sys.executable, str(SCRIPT)], env=asked, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "bash_source, zsh_source or fish_source" in ended.stderr
