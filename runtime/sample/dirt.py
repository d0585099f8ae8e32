"""Faults of real log deliveries, one function per kind."""

import json
from collections import Counter
from collections.abc import Callable

from runtime.sample.dirt_context import DirtContext, Extra, Line
from runtime.sample.sessions import DAY_MS, Event
from runtime.sample.vocabulary import pick

EVENTS_PER_ROUND = 5_000


def dirty_lines(soil: DirtContext, start: int, events: list[Event], counts: Counter[str]) -> list[Line]:
    """The lines of the day that begins at `start`: its events and some dirt of each kind.

    Adds the number of each kind to `counts`.
    """
    soil.begin_day(start, events)
    lines = [Line(soil.lines.line(event), event) for event in events]
    extras: list[Extra] = []
    # A day without events remains an empty file.
    for _ in range(1 + len(events) // EVENTS_PER_ROUND if events else 0):
        counts["integer_user_id"] += unquote_a_user_id(soil, lines)
        extras.extend(one_of_each_kind(soil, counts))
    return merged(soil, lines, extras)


def one_of_each_kind(soil: DirtContext, counts: Counter[str]) -> list[Extra]:
    made = {kind: make(soil) for kind, make in KINDS.items()}
    counts.update(kind for kind, extra in made.items() if extra)
    return [extra for extra in made.values() if extra]


def merged(soil: DirtContext, lines: list[Line], extras: list[Extra]) -> list[Line]:
    """Insert the extras at random positions, none before the event it must follow."""
    placed: dict[int, list[Line]] = {}
    for after, line in extras:
        position = after + int(soil.rng.random() * (len(lines) - after))
        placed.setdefault(position, []).append(line)
    return [x for number, line in enumerate(lines) for x in (line, *placed.get(number, ()))]


def unquote_a_user_id(soil: DirtContext, lines: list[Line]) -> bool:
    """Change `"userId":"12"` of one line to `"userId":12`, if the day has a user."""
    number = soil.find(soil.today, has_user)
    if number is None:
        return False
    start, colon, user_id = soil.lines.line(soil.today[number]).rpartition(":")
    lines[number] = lines[number]._replace(text=start + colon + user_id.replace('"', ""))
    return True


def is_event(_: Event) -> bool:
    return True


def is_play(event: Event) -> bool:
    return event.play is not None


def has_user(event: Event) -> bool:
    return event.user is not None


def unchanged(event: Event) -> Event:
    return event


def retracted(event: Event) -> Event:
    return event._replace(page="Home", play=None)


def corrected(soil: DirtContext, event: Event) -> Event:
    """The event with another song, level or user."""
    draw = soil.rng.random()
    if draw < 0.4:
        return event._replace(play=soil.jukebox.next())
    if draw < 0.8:
        return event._replace(level="paid" if event.level == "free" else "free")
    return event._replace(user=pick(soil.rng, soil.users))


def reordered(text: str) -> str:
    """The same record with different whitespace and its keys in reverse order."""
    return json.dumps(dict(reversed(json.loads(text).items())), separators=(" , ", ": "))


def rejected(text: str, reason: str, after: int = 0) -> Extra:
    return Extra(after, Line(text, reason=reason))


def duplicate_same_file(soil: DirtContext) -> Extra | None:
    return soil.today_again(unchanged, is_event)


def duplicate_next_file(soil: DirtContext) -> Extra | None:
    return soil.yesterday_again(unchanged, is_event)


def duplicate_rewritten(soil: DirtContext) -> Extra | None:
    extra = duplicate_same_file(soil)
    return extra and Extra(extra.after, extra.line._replace(text=reordered(extra.line.text)))


def correction_same_file(soil: DirtContext) -> Extra | None:
    return soil.today_again(lambda event: corrected(soil, event), is_play)


def correction_next_file(soil: DirtContext) -> Extra | None:
    return soil.yesterday_again(lambda event: corrected(soil, event), is_play)


def retraction_same_file(soil: DirtContext) -> Extra | None:
    return soil.today_again(retracted, is_play)


def retraction_next_file(soil: DirtContext) -> Extra | None:
    return soil.yesterday_again(retracted, is_play)


def late_event(soil: DirtContext) -> Extra | None:
    """A new event of an earlier day, with a random level, often not the current one of its user."""
    if soil.start == soil.first_ts:
        return None
    return soil.valid(soil.new_event(soil.time_before_today()))


def cut_line(soil: DirtContext) -> Extra | None:
    extra = duplicate_same_file(soil)
    if extra is None:
        return None
    text = extra.line.text
    return rejected(text[: len(text) // 2], "record_is_json_object")


def play_without_user(soil: DirtContext) -> Extra:
    event = soil.new_event(soil.time_today())._replace(user=None)
    return rejected(soil.lines.line(event), "play_has_user")


def unknown_level(soil: DirtContext) -> Extra | None:
    """An invalid correction: the event that it repeats must not change."""
    extra = soil.today_again(lambda event: event._replace(level="premium"), is_event)
    return extra and rejected(extra.line.text, "level_is_known", extra.after)


def user_id_not_integer(soil: DirtContext) -> Extra:
    """On page Home: a play without a valid user would break a second rule."""
    event = soil.new_event(soil.time_today(), page="Home")
    user = event.user and event.user._replace(user_id="abc")
    return rejected(soil.lines.line(event._replace(user=user)), "user_id_is_integer")


def missing_ts(soil: DirtContext) -> Extra:
    """The field is missing on one day and null on the next."""
    ts = soil.time_today()
    instead = '"ts":null,' if soil.start // DAY_MS % 2 else ""
    text = soil.lines.line(soil.new_event(ts)).replace(f'"ts":{ts},', instead)
    return rejected(text, "event_at_is_valid")


def blank_line(_: DirtContext) -> Extra:
    return Extra(0, Line(""))


KINDS: dict[str, Callable[[DirtContext], Extra | None]] = {
    make.__name__: make
    for make in (
        duplicate_same_file,
        duplicate_next_file,
        duplicate_rewritten,
        correction_same_file,
        correction_next_file,
        retraction_same_file,
        retraction_next_file,
        late_event,
        cut_line,
        play_without_user,
        unknown_level,
        user_id_not_integer,
        missing_ts,
        blank_line,
    )
}
