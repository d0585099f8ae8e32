"""How a delivered value becomes a typed one, and which text is a record: the same on both engines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.engine import Engine
from silver.cleaning import absent, instant, integer, number, parse, text
from tests.support.comparing import collected

pytestmark = pytest.mark.engine

PROVENANCE = "raw string, _source_file string, _source_line bigint, _delivery bigint"


def parsed(engine: Engine, raws: Iterable[str], **expressions: str) -> list[dict[str, Any]]:
    """Each raw record with `is_record`, its field `v` as a string, and expressions over `record.v`."""
    lines = [(raw, "a.json", number, 1) for number, raw in enumerate(raws)]
    records = parse(engine.spark.createDataFrame(lines, PROVENANCE), ("v", "w"))
    shown = [f"{expression} as {name}" for name, expression in expressions.items()]
    return collected(
        records.selectExpr("_source_line", "record is not null as is_record", "record.v", *shown).orderBy(
            "_source_line"
        )
    )


def typed(engine: Engine, tokens: Iterable[str], **expressions: str) -> list[dict[str, Any]]:
    """The expressions of a record whose field `v` is each JSON token."""
    return parsed(engine, [f'{{"v": {token}}}' for token in tokens], **expressions)


def cleaned(engine: Engine, texts: Iterable[str | None]) -> list[str | None]:
    """`text` of each text, in order."""
    values = engine.spark.createDataFrame(list(enumerate(texts)), "i int, v string")
    return [
        row["cleaned"] for row in collected(values.selectExpr("i", f"{text('v')} as cleaned").orderBy("i"))
    ]


def damaged(sound: str, times: int) -> str:
    """Text written as UTF-8 and wrongly read as latin-1, so many times over."""
    for _ in range(times):
        sound = sound.encode().decode("latin-1")
    return sound


NUMBERS = {  # JSON token -> (double, int, bigint)
    "5": (5.0, 5, 5),
    '"5"': (5.0, 5, 5),
    "5.0": (5.0, 5, 5),
    '" 5 "': (5.0, 5, 5),
    '"+5"': (5.0, 5, 5),
    '"5."': (5.0, 5, 5),
    '"-5"': (-5.0, -5, -5),
    '"05"': (5.0, 5, 5),
    "5.5": (5.5, None, None),
    '"5.5"': (5.5, None, None),
    "1e3": (1000.0, 1000, 1000),
    '"1E+3"': (1000.0, 1000, 1000),
    '"1e-3"': (0.001, None, None),
    "0": (0.0, 0, 0),
    "2147483647": (2147483647.0, 2147483647, 2147483647),
    "2147483648": (2147483648.0, None, 2147483648),
    "2147483648.0": (2147483648.0, None, 2147483648),
    "-2147483648": (-2147483648.0, -2147483648, -2147483648),
    "99999999999": (99999999999.0, None, 99999999999),
    "1541106106796.0": (1541106106796.0, None, 1541106106796),
    "9007199254740993": (9007199254740992.0, None, 9007199254740993),
    "9223372036854775807": (9223372036854775808.0, None, 9223372036854775807),
    "9223372036854775808": (9223372036854775808.0, None, None),
    '"1e99"': (1e99, None, None),
}
NO_NUMBERS = [
    "true", "null", '""', '" "', '"true"', '"NaN"', '"Infinity"', '"-Infinity"', '"inf"', '"1d"', '"1f"',
    '"1L"', '"0x10"', '".5"', '"--5"', '"5 5"', '"1e"', '"1_000"', '"1,000"', '"٥"', '"５"', '"5\\n"',
    '"5.0\\n"', '"5.0\\u0085"', '"\\t5"', '"5\\u0000"', '"5\\u00a0"', '"5\\u2028"', '"1e400"', '{"a": 5}',
    "[5]", '"2018-11-02"',
]  # fmt: skip


def test_a_number_is_taken_however_it_was_written_and_nothing_else_is(engine: Engine) -> None:
    tokens = [*NUMBERS, *NO_NUMBERS]
    found = typed(
        engine,
        tokens,
        as_double=number("record.v"),
        as_int=integer("record.v"),
        as_bigint=integer("record.v", "bigint"),
    )
    values = [(row["as_double"], row["as_int"], row["as_bigint"]) for row in found]
    nothing = dict.fromkeys(NO_NUMBERS, (None, None, None))
    assert dict(zip(tokens, values, strict=True)) == {**NUMBERS, **nothing}
    assert all(row["is_record"] for row in found)


def test_an_instant_is_epoch_milliseconds_of_this_century(engine: Engine) -> None:
    at = datetime(2018, 11, 1, 21, 1, 46, 796000, tzinfo=UTC)
    instants = {
        "1541106106796": at,
        '"1541106106796"': at,
        "1541106106796.0": at,
        "1.541106106796E12": at,
        "946684800000": datetime(2000, 1, 1, tzinfo=UTC),
        "4102444799999": datetime(2099, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
        "946684799999": None,
        "4102444800000": None,
        "1541106106": None,  # seconds
        "1541106106796.5": None,
        "-1": None,
        "0": None,
        "253402300800000": None,  # the year 10000
        "9223372036854775807": None,
        '"2018-11-01T21:01:46Z"': None,
        '""': None,
        "null": None,
    }
    found = typed(engine, instants, at=instant("record.v"))
    assert dict(zip(instants, (row["at"] for row in found), strict=True)) == instants


def test_a_value_left_out_is_told_from_one_that_cannot_be_read(engine: Engine) -> None:
    left_out = {"null": True, '""': True, '"  "': True, '"x"': False, "0": False, "false": False}
    found = parsed(engine, ["{}", *(f'{{"v": {t}}}' for t in left_out)], absent=absent("record.v"))
    assert [row["absent"] for row in found] == [True, *left_out.values()]


def test_text_is_repaired_stripped_of_control_characters_and_trimmed(engine: Engine) -> None:
    texts = {
        "LegiÃ\u0083Â£o Urbana": "Legião Urbana",
        "MÃºm": "Múm",
        "Ã\u0085": "Å",  # the damage holds a control character, so repair comes first
        "日本": "日本",
        "é": "é",
        "Ã": "Ã",
        "Ã©é": "Ã©é",  # not wholly damaged: left as it is
        "Ã© 日本": "Ã© 日本",
        "Ã©\u0085": "Ã©",
        "Ã©\u2028": "Ã©\u2028",
        "Ã©\u2029x": "Ã©\u2029x",
        "í\u00a0\u0080": "í",  # a surrogate is no well-formed UTF-8
        "À\u0080": "À",
        "a\tb\x00c\x7fd\x9fe\n": "a bcde",
        "tab\there": "tab here",
        "one\r\ntwo": "one two",
        "Don\x19t": "Dont",
        "  a b  ": "a b",
        "\u00a0a\u00a0 ": "a",
        " \u00a0": None,
        "LIBERTÉ\u00a0!": "LIBERTÉ\u00a0!",  # these four read like damage, and are none
        "Spaß\u00a0haben": "Spaß\u00a0haben",
        "voilà\u00a0»": "voilà\u00a0»",
        "NESCAFÉ®": "NESCAFÉ®",
        "ANDRÉ\u00a0": "ANDRÉ",
        "CafÃ©": "Café",
        "Ã©": "é",
        "voilÃ\u00a0": "voilà",
        "Ces Gens LÃ\u0083Â\u00a0": "Ces Gens Là",
        "Ð¼Ð°Ð¼Ð°": "мама",
        **{damaged("LIBERTÉ\u00a0!", times): "LIBERTÉ\u00a0!" for times in range(4)},
        "\x00 a \x00": "a",
        "": None,
        "  ": None,
        "\x00\n": None,
        **{damaged("Múm 日本 😀", times): "Múm 日本 😀" for times in range(7)},
        "Ã©" * 20_000: "é" * 20_000,  # a pattern over the whole text would overflow Java's stack
        "Ã©" + "a" * 50_000: "é" + "a" * 50_000,
    }
    assert cleaned(engine, [*texts, None]) == [*texts.values(), None]


SIGNS = (
    r"[\x80-\x9f]|[a-z][Â-ÖØ-Þ][\x80-\xbf]|[ÂÃ][¡-ª¬-º¼-¿]|[Ä-ß][¢-ª¬-º¼-¾][A-Za-zÂ-ô]"
    r"|[à-ô][¢-ª¬-º¼-¾]{2}"
)


def repaired(value: str) -> str | None:
    """The rule, stated in Python: while text shows signs of UTF-8 taken for latin-1, read it as UTF-8."""
    for turn in range(8):
        try:
            once = value.encode("latin-1").decode("utf-8")
        except UnicodeError:
            break
        if not re.search(SIGNS if turn == 0 else f"{SIGNS}|[ÂÃ][\x80-\xbf]", value):
            break
        value = once
    value = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", re.sub(r"[\t-\r\x85]+", " ", value))
    return value.strip(" \xa0") or None


PRINTABLE = st.characters(exclude_categories=("Cs", "Cn", "Co"))
# Mostly characters near the edges of the rule: what damage is made of, and what it leaves.
TRICKY = st.sampled_from("aé ÃÂâ\u0080\u0085\u009f\u00a0¿ÀÁÂßàíïðôõÿĀ日\u2028\u2029😀\n\x00")
TEXTS = st.tuples(st.text(PRINTABLE | TRICKY, max_size=12), st.integers(0, 4)).map(lambda d: damaged(*d))


@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(texts=st.lists(TEXTS, min_size=150, max_size=250))
def test_any_text_damaged_any_number_of_times_is_repaired_as_the_rule_says(
    engine: Engine, texts: list[str]
) -> None:
    got = dict(zip(texts, cleaned(engine, texts), strict=True))
    assert got == {damage: repaired(damage) for damage in texts}


RECORDS = {  # raw text -> the field v
    "{}": None,
    '{"v": null}': None,
    '{"x": {"v": 3}}': None,
    '{"V": 1}': None,
    '{"v": "1"}': "1",
    ' {"v": "1"} ': "1",
    '{"v": "1"}\r': "1",
    '\n{\n\t"v": "1"\r\n}\n': "1",
    '{"v": "1", "v": "2"}': "2",
    '{"v": "1", "x": 2, "y": [{}]}': "1",
    '{"v": {"a": 1, "b": [true, null]}}': '{"a":1,"b":[true,null]}',
    '{"v": [1, "ü"]}': '[1,"ü"]',
    '{"v": "\\u00fc\\ud83d\\ude00\\/\\"\\u0000"}': 'ü😀/"\x00',
    '{"v": "}"}': "}",
}
NO_RECORDS = [
    "", "  ", "5", '"a"', '""', "null", "true", "[]", '[{"v": 1}]', '{"v": 1', '{"v": "cut', '{"v": ',
    '{"v": 1} x', '{"v": 1}{"v": 2}', '{"v": 1}, {"v": 2}', '{"v": 1},"x": 2', '{"v": 1},', '{"v": 1}]',
    '{"v": 1}}', '{"v": 1}]; [{"v": 1}', '{"v": 1}}, {"v": {"v": 1}', '{"v": NaN}', '{"x": NaN}',
    '{"v": Infinity}', "{'v': 1}", "{v: 1}", '{"v": 01}', '{"v": +1}', '{"v": .5}', '{"v": 5.}',
    '{"v": tru}', '{"v": undefined}', '{"v": 1,}', '{"v" 1}', '{"v": "a" "b"}', '{"v": "\\x"}',
    '{"v": "a\x00b"}', '{"v": "a\tb"}', '{"v": 1}\x00', '\x00{"v": 1}', '\ufeff{"v": 1}',
    '{"v": 1} // c', '/* c */ {"v": 1}', "{", "}", "[", "]", ",",
]  # fmt: skip


def test_a_record_is_one_json_object_and_nothing_besides(engine: Engine) -> None:
    raws = [*RECORDS, *NO_RECORDS]
    found = zip(raws, parsed(engine, raws), strict=True)
    got = {raw: row["v"] if row["is_record"] else "no record" for raw, row in found}
    assert got == {**RECORDS, **dict.fromkeys(NO_RECORDS, "no record")}
