"""The lease: one writer per lake, and what happens to a holder that dies, sleeps or is robbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import Fenced, LeaseHeld
from runtime.ledger.facts import Facts, now
from runtime.ledger.lease import Owner, claim, is_held
from runtime.ledger.ledger import Ledger
from tests.support.checkout import ROOT

# Claims, says so, and commits once when told to; the words it prints are what happened.
HOLDER = """
import sys
from runtime.errors import Fenced, LeaseHeld
from runtime.ledger.lease import claim
from runtime.ledger.ledger import Ledger

def tell(word):
    print(word, flush=True)

uri, command, seconds = sys.argv[1:]
tell("ready")
sys.stdin.readline()
try:
    with claim(Ledger(uri), command, float(seconds)) as owner:
        tell("held")
        sys.stdin.readline()
        try:
            owner.commit([])
            tell("committed")
        except Fenced:
            tell("fenced")
except LeaseHeld as held:
    tell(f"refused {held}")
"""


class Holder:
    """Another process that claims the lease of a lake."""

    def __init__(
        self, uri: str, command: str = "run", seconds: float = 60, inside: Sequence[str] = ()
    ) -> None:
        self.process = subprocess.Popen(
            [*inside, sys.executable, "-c", HOLDER, uri, command, str(seconds)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.answer() == "ready"

    @property
    def pid(self) -> int:
        return self.process.pid

    def go_on(self) -> None:
        """Let it claim, or commit."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def claims(self) -> str:
        self.go_on()
        return self.answer()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """Where the ledger of a lake may be made."""
    return str(tmp_path / "lake" / "_ledger")


@pytest.fixture
def start(uri: str) -> Iterator[Callable[..., Holder]]:
    """Starts other processes on that lake, and ends them."""
    started = list[Holder]()

    def start(command: str = "run", seconds: float = 60) -> Holder:
        started.append(Holder(uri, command, seconds))
        return started[-1]

    yield start
    for holder in started:
        holder.end()


def lease(uri: str) -> dict[str, Any]:
    """The lease as anyone would read it now."""
    found = Ledger(uri).lease()
    assert found is not None
    return found


def take_over(uri: str) -> None:
    """What another claim does to a holder."""
    Ledger(uri).commit([], {**lease(uri), "id": "another", "released": False})


def test_a_lease_is_held_while_the_block_runs_and_free_after_it(uri: str) -> None:
    with claim(Ledger(uri), "run", 60) as owner:
        assert is_held(lease(uri))
        assert (lease(uri)["command"], lease(uri)["pid"]) == ("run", os.getpid())
        owner.commit([{"kind": "bad", "source": "log_data", "path": "a", "signature": "1", "error": "cut"}])
        assert is_held(lease(uri))
    assert not is_held(lease(uri))
    assert lease(uri)["released"]
    assert Ledger(uri).contents() == Facts({}, (), {("log_data", "a"): ("1", "cut")})
    with claim(Ledger(uri), "vacuum", 60):
        assert lease(uri)["command"] == "vacuum"


def test_a_block_that_fails_releases_the_lease(uri: str) -> None:
    with pytest.raises(KeyboardInterrupt), claim(Ledger(uri), "run", 60):
        raise KeyboardInterrupt
    assert not is_held(lease(uri))


@pytest.mark.process
def test_a_live_holder_is_named_to_whoever_comes_second(uri: str, start: Callable[..., Holder]) -> None:
    holder = start("run --full-refresh")
    assert holder.claims() == "held"
    version = Ledger(uri).version
    with pytest.raises(LeaseHeld) as refused, claim(Ledger(uri), "run", 60):
        pass
    assert f"`run --full-refresh`, process {holder.pid} on" in str(refused.value)
    assert Ledger(uri).version == version
    assert holder.claims() == "committed"
    holder.process.wait(10)
    with claim(Ledger(uri), "run", 60):
        pass


@pytest.mark.process
def test_a_killed_holder_is_succeeded_at_once(uri: str, start: Callable[..., Holder]) -> None:
    holder = start()
    assert holder.claims() == "held"
    holder.process.kill()  # and not waited for: a zombie holds nothing either
    begun = time.monotonic()
    while is_held(lease(uri)):
        assert time.monotonic() - begun < 5
        time.sleep(0.01)
    with claim(Ledger(uri), "run", 60):
        assert lease(uri)["pid"] == os.getpid()


@pytest.mark.process
def test_a_holder_in_a_container_is_not_taken_for_dead_because_its_pid_is_another_one_here(uri: str) -> None:
    """Containers of one machine share its boot id, but not their pids."""
    inside = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    is_allowed = subprocess.run([*inside, "true"], check=False, capture_output=True).returncode == 0
    holder = Holder(
        uri, inside=inside if is_allowed else ()
    )  # in some containers it is not: then a plain one
    try:
        assert holder.claims() == "held"
        assert is_held(lease(uri))
        with pytest.raises(LeaseHeld), claim(Ledger(uri), "run", 60):
            pass
        assert holder.claims() == "committed"
    finally:
        holder.end()


@pytest.mark.process
def test_a_holder_that_sleeps_past_its_heartbeat_is_succeeded_and_publishes_nothing_more(
    uri: str, start: Callable[..., Holder]
) -> None:
    holder = start(seconds=5)
    assert holder.claims() == "held"
    os.kill(holder.pid, signal.SIGSTOP)
    with pytest.raises(LeaseHeld), claim(Ledger(uri), "run", 60):
        pass
    time.sleep(5.1)
    with claim(Ledger(uri), "run", 60) as owner:
        os.kill(holder.pid, signal.SIGCONT)
        assert holder.claims() == "fenced"
        assert holder.process.wait(10) == 0
        owner.commit([])
        assert lease(uri)["pid"] == os.getpid()


def test_a_heartbeat_renews_the_lease_of_a_holder_that_works_on(uri: str) -> None:
    with claim(Ledger(uri), "run", 3) as owner:  # a heartbeat each 1.5 s
        first = lease(uri)["at"]
        time.sleep(3.5)
        assert is_held(lease(uri))
        assert lease(uri)["at"] > first
        owner.commit([])


@pytest.mark.parametrize("seconds", [60, 2], ids=["told by its commit", "told by its heartbeat"])
def test_an_owner_whose_lease_was_taken_over_is_fenced_and_leaves_the_ledger_alone(
    uri: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.ledger.ledger.COMPACT_AFTER", 0)
    owner = Owner(claimed(uri), "run", seconds).start()
    take_over(uri)
    version = Ledger(uri).version
    if seconds < 60:
        time.sleep(0.8)  # the first heartbeat comes after half a second
    for _ in range(2):
        with pytest.raises(Fenced):
            owner.commit([])
    owner.release()
    assert Ledger(uri).version == version
    assert lease(uri)["id"] == "another"


def test_an_owner_that_learns_of_its_loss_only_at_the_end_leaves_quietly(uri: str) -> None:
    with claim(Ledger(uri), "run", 60):
        take_over(uri)
        version = Ledger(uri).version
    assert Ledger(uri).version == version


def claimed(uri: str) -> Ledger:
    """A ledger that is there, opened."""
    ledger = Ledger(uri)
    ledger.create()
    return ledger


@pytest.mark.process
def test_of_claims_at_the_same_time_exactly_one_wins(start: Callable[..., Holder]) -> None:
    holders = [start(f"run {number}") for number in range(3)]
    for holder in holders:
        holder.go_on()
    answers = [holder.answer() for holder in holders]
    assert answers.count("held") == 1, answers
    winner = holders[answers.index("held")]
    for answer in answers:
        assert answer == "held" or f"process {winner.pid}" in answer
    assert winner.claims() == "committed"


def test_a_lease_is_judged_by_its_process_here_and_by_its_heartbeat_elsewhere(uri: str) -> None:
    with claim(Ledger(uri), "run", 60):
        held = lease(uri)
    old = {"at": (now() - timedelta(seconds=61)).isoformat()}
    elsewhere = {"boot": "another", "pid": 1, "started": "1"}
    assert is_held(held)
    assert is_held({**held, **elsewhere})
    assert not is_held({**held, **old})
    assert not is_held({**held, **elsewhere, **old})
    assert not is_held({**held, "started": "1"})  # another process has its pid now
    assert not is_held({**held, "pid": 2**22 + 1})
    assert not is_held({**held, "released": True})
    assert not is_held(None)
    assert json.loads(json.dumps(held)) == held
