"""The users of the app: the fields that are the same in all their records."""

from random import Random
from typing import NamedTuple

from runtime.sample import vocabulary
from runtime.sample.vocabulary import pick

# Half of the agents are in quotes, as most of the real ones are.
AGENTS = (
    '"Mozilla/5.0 (Fenwick NT 6.1; x64) QuarkKit/537.36 (KHTML, like Lizard) Larkspur/36.0"',
    '"Mozilla/5.0 (Plumtosh; OS Q 10_9_4) QuarkKit/537.77.4 (KHTML, like Lizard) Dune/7.0.5"',
    '"Mozilla/5.0 (pSlate; OS 7_1_2 like OS Q) QuarkKit/537.51.2 (KHTML, like Lizard)"',
    "Mozilla/5.0 (X12; Kelnux x86_64; rv:31.0) Lizard/20100101 Emberfox/31.0",
    "Mozilla/5.0 (Fenwick NT 6.3; rv:31.0) Lizard/20100101 Emberfox/31.0",
    "Mozilla/5.0 (compatible; Tern 10.0; Fenwick NT 6.2; Delta/6.0)",
)
EVENTS_PER_USER = 80
FEWEST_USERS = 5
LONGEST_MEMBERSHIP_MS = 90 * 86_400_000


class User(NamedTuple):
    """One user; `registration` is epoch milliseconds as the float the real logs hold."""

    user_id: str
    first_name: str
    last_name: str
    gender: str
    location: str
    registration: float
    agent: str


def make_users(rng: Random, events: int, first_ts: int) -> list[User]:
    """The users for `events` events, all registered before `first_ts`."""
    count = max(FEWEST_USERS, events // EVENTS_PER_USER)
    return [make_user(rng, number + 1, first_ts) for number in range(count)]


def make_user(rng: Random, number: int, first_ts: int) -> User:
    return User(
        user_id=str(number),
        first_name=vocabulary.word(rng),
        last_name=vocabulary.word(rng),
        gender=pick(rng, "FM"),
        location=vocabulary.town(rng),
        registration=float(first_ts - 1 - int(rng.random() * LONGEST_MEMBERSHIP_MS)),
        agent=pick(rng, AGENTS),
    )
