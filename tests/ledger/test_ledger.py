"""The ledger: what goes in comes out, and only the handle that wrote last may write again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError

from runtime.errors import Fenced
from runtime.ledger.facts import EMPTY, Delivery, Facts, State, delivery_row, state_row
from runtime.ledger.ledger import Ledger

LEASE = {"id": "1", "released": False}


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """Where a ledger may be made."""
    return str(tmp_path / "lake" / "_ledger")


@pytest.fixture
def ledger(uri: str) -> Ledger:
    """A new ledger."""
    made = Ledger(uri)
    made.create()
    return made


def delivery(number: int, **fields: Any) -> Delivery:
    """A delivery of `<number>.json` among the logs."""
    path = f"{number}.json"
    made = Delivery(number, "log_data", path, f"/logs/{path}", 10, f"10:{number}", f"sha256:{number}")
    return replace(made, **fields)


def state(batch_id: int, base: int | None = None, **fields: Any) -> State:
    """A published batch."""
    made = State(
        batch_id, "run", base, f"2026-01-01T00:00:{batch_id:02}+00:00", {"gold.users": {"version": 1}}
    )
    return replace(made, **{"deliveries": [], **fields})


def contents(*states: State, deliveries: int = 0) -> Facts:
    """What a ledger with these states and as many deliveries says."""
    return Facts({n: delivery(n) for n in range(1, deliveries + 1)}, states, {})


def bad_row(path: str, signature: str, error: str) -> dict[str, str]:
    return {
        "kind": "bad",
        "source": "log_data",
        "path": path,
        "uri": path,
        "signature": signature,
        "error": error,
    }


def test_where_there_is_no_ledger_nothing_is_known(uri: str) -> None:
    ledger = Ledger(uri)
    assert ledger.contents() == EMPTY
    assert (ledger.version, ledger.lease(), ledger.last()) == (-1, None, None)
    assert (EMPTY.last, EMPTY.chain, EMPTY.next_delivery, EMPTY.next_batch_id) == (None, (), 1, 1)
    assert not Path(uri).exists()


def test_deliveries_bad_files_and_states_come_back_as_they_were_written(uri: str, ledger: Ledger) -> None:
    deliveries = {1: delivery(1), 2: delivery(2, path="é 日本.zip!a'b.json")}
    published = state(
        1,
        files={"song_data": 0, "log_data": 2},
        records={"delivered": 3},
        deliveries=[1],
        partial={"2": [100, 7]},
        reasons={"level_is_known": 1},
        fingerprints={"gold.users": "abc"},
        schemas={"gold.users": "user_id int"},
        seconds=1.25,
        engine="sail",
        code_version="0.1.0",
    )
    bad = bad_row("c.json", "5:1", "its compressed data is cut")
    ledger.commit([*map(delivery_row, deliveries.values()), bad], LEASE)
    ledger.commit([state_row(published)], LEASE)
    for read in (ledger.contents(), Ledger(uri).contents()):
        assert read.deliveries == deliveries
        assert read.states == (published,)
        assert read.bad == {("log_data", "c.json"): ("5:1", "its compressed data is cut")}
    assert published.published_at.isoformat() == published.at


def test_a_file_seen_under_a_new_modification_time_keeps_its_delivery(ledger: Ledger) -> None:
    ledger.commit([delivery_row(delivery(1)), delivery_row(delivery(2))], LEASE)
    for signature in ("10:a", "10:b"):
        ledger.commit([{"kind": "seen", "delivery": 1, "signature": signature}], LEASE)
    assert ledger.contents().deliveries == {1: delivery(1, signature="10:b"), 2: delivery(2)}


def test_of_two_errors_of_a_file_the_later_is_remembered(ledger: Ledger) -> None:
    for signature in ("5:1", "5:2"):
        ledger.commit([bad_row("c.json", signature, f"error of {signature}")], LEASE)
    assert ledger.contents().bad == {("log_data", "c.json"): ("5:2", "error of 5:2")}


def test_a_file_that_could_not_be_read_is_forgotten_when_it_went_away(ledger: Ledger) -> None:
    path = {"kind": "bad", "source": "log_data", "path": "a.json"}
    ledger.commit([{**path, "signature": "1", "error": "cut"}], {})
    assert list(ledger.contents().bad) == [("log_data", "a.json")]
    ledger.commit([path], {})
    assert ledger.contents().bad == {}


def test_the_last_state_can_be_read_alone(uri: str, ledger: Ledger) -> None:
    ledger.commit([delivery_row(delivery(1))], LEASE)
    assert Ledger(uri).last() is None
    for batch in (9, 10):  # numbers, not texts
        ledger.commit([state_row(state(batch))], LEASE)
    ledger.commit([delivery_row(delivery(2))], LEASE)
    assert Ledger(uri).last() == state(10) == ledger.contents().last


def test_a_state_written_again_after_a_rollback_replaces_the_older_one(ledger: Ledger) -> None:
    ledger.commit([state_row(state(1))], LEASE)
    again = state(1, tables={"gold.users": {"version": 3}})
    ledger.commit([state_row(again)], LEASE)
    assert Ledger(ledger.uri).last() == again
    read = ledger.contents()
    assert read.last == again == ledger.last()
    assert read.batches == {1: again}
    assert read.next_batch_id == 2


def test_only_what_the_last_state_stands_on_is_in_the_lake() -> None:
    first, undone = state(1, deliveries=[1]), state(2, base=1, deliveries=[2], partial={"3": [10, 2]})
    restored = state(3, base=1, kind="restore")
    last = state(4, base=3, deliveries=[4], partial={"5": [20, 4]})
    read = contents(first, undone, restored, last, deliveries=5)
    assert read.chain == (first, restored, last)
    assert read.ingested == {1, 4}
    assert read.partial == {5: (20, 4)}
    assert (read.next_delivery, read.next_batch_id) == (6, 5)


def test_a_delivery_taken_in_over_several_batches_is_partial_until_its_end() -> None:
    states = [
        state(1, partial={"1": [100, 7]}),
        state(2, base=1, partial={"1": [200, 15]}),
        state(3, base=2, deliveries=[1]),
    ]
    assert contents(*states[:1], deliveries=1).partial == {1: (100, 7)}
    assert contents(*states[:2], deliveries=1).partial == {1: (200, 15)}
    assert contents(*states[:2], deliveries=1).ingested == set()
    assert contents(*states, deliveries=1).partial == {}
    assert contents(*states, deliveries=1).ingested == {1}


def test_a_commit_by_a_second_handle_stops_the_first_for_good(uri: str, ledger: Ledger) -> None:
    ledger.commit([], {**LEASE, "id": "first"})
    second = Ledger(uri)
    second.commit([], {**LEASE, "id": "second"})
    for _ in range(2):
        with pytest.raises(Fenced, match="took over the lease"):
            ledger.commit([state_row(state(1))], {**LEASE, "id": "first"})
    second.commit([delivery_row(delivery(1))], {**LEASE, "id": "second"})
    fresh = Ledger(uri)
    assert fresh.contents() == contents(deliveries=1)
    assert fresh.lease() == {**LEASE, "id": "second"}


def test_facts_are_read_again_only_when_someone_added_some(uri: str, ledger: Ledger) -> None:
    ledger.commit([delivery_row(delivery(1))], LEASE)
    known = ledger.contents()
    assert known == contents(deliveries=1)
    ledger.commit([], LEASE)
    ledger.refresh()
    assert ledger.contents() is known
    ledger.commit([delivery_row(delivery(2))], LEASE)
    assert ledger.contents() == contents(deliveries=2)
    Ledger(uri).commit([delivery_row(delivery(3))], LEASE)
    ledger.refresh()
    ledger.commit([], LEASE)
    assert ledger.contents() == contents(deliveries=3)


def test_a_ledger_that_is_gone_is_not_made_anew_by_a_commit(uri: str) -> None:
    with pytest.raises(Fenced, match="is gone"):
        Ledger(uri).commit([], LEASE)


def test_making_a_ledger_twice_keeps_what_it_holds(uri: str, ledger: Ledger) -> None:
    late = Ledger(uri + "/")
    late._table = None  # as seen by a process that looked before the other made it
    ledger.commit([state_row(state(1))], LEASE)
    late.create()
    assert late.contents().last == state(1)


def test_compaction_keeps_contents_lease_and_the_right_to_commit(
    uri: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.ledger.ledger.COMPACT_AFTER", 5)
    for number in range(1, 6):
        ledger.commit([delivery_row(delivery(number)), state_row(state(number, number - 1 or None))], LEASE)
    before, version = ledger.contents(), ledger.version
    ledger.compact(LEASE)
    assert ledger.version == version  # five files are not yet many
    ledger.commit([bad_row("c.json", "1", "cut")], LEASE)
    ledger.compact({**LEASE, "id": "compacted"})
    assert ledger.version == version + 3  # the bad file, a proof of being the owner, the compaction
    read = Ledger(uri)
    assert read.lease() == {**LEASE, "id": "compacted"}
    assert read.contents() == replace(before, bad={("log_data", "c.json"): ("1", "cut")})
    ledger.commit([state_row(state(6, 5))], LEASE)
    assert ledger.contents().chain[-1] == state(6, 5)


def test_a_stale_handle_cannot_compact(uri: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.ledger.ledger.COMPACT_AFTER", 1)
    for number in (1, 2):
        ledger.commit([delivery_row(delivery(number))], LEASE)
    Ledger(uri).commit([], LEASE)
    with pytest.raises(Fenced):
        ledger.compact(LEASE)


def test_a_commit_whose_answer_was_lost_is_known_for_ones_own(
    uri: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when S3 did what was asked, and the connection broke before it said so."""
    ledger.commit([], LEASE)
    write = write_deltalake
    conflict = CommitFailedError("version 2 exists")

    def lose_the_answer(table: object, *rest: Any, **more: Any) -> None:
        write(uri, *rest, **more)
        raise answers.pop()

    monkeypatch.setattr("runtime.ledger.ledger.write_deltalake", lose_the_answer)
    answers: list[Exception] = [conflict]
    ledger.commit([delivery_row(delivery(1))], LEASE)
    answers = [OSError("connection closed")]
    with pytest.raises(OSError, match="connection closed"):
        ledger.commit([delivery_row(delivery(2))], LEASE)
    monkeypatch.setattr("runtime.ledger.ledger.write_deltalake", write)
    ledger.commit([delivery_row(delivery(3))], LEASE)
    assert sorted(Ledger(uri).contents().deliveries) == [1, 2, 3]
    Ledger(uri).commit([], LEASE)
    with pytest.raises(Fenced):
        ledger.commit([], LEASE)
