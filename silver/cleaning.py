"""How a delivered value becomes a typed one: SQL expressions that both engines read alike.

Every scalar is parsed as a string first, so that `5`, `"5"` and `5.0` are ours to judge: all three are
the integer 5. What cannot be read becomes NULL, and an expectation of the table says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PROVENANCE = ("raw", "_source_file", "_source_line", "_delivery")

# Strict JSON, as RFC 8259 has it: Spark would also take 'single quotes' and NaN.
JSON_OPTIONS = "map('allowSingleQuotes', 'false', 'allowNonNumericNumbers', 'false')"

# Text that was UTF-8, then wrongly read as latin-1: it holds only characters up to U+00FF, and
# these, as bytes, are valid UTF-8 again (the table of well-formed sequences, Unicode 3.9).
MISREAD = r"[\\xC2-\\xF4][\\x80-\\xBF]"
WELL_FORMED = (
    r"^(?:[\\x00-\\x7F]|[\\xC2-\\xDF][\\x80-\\xBF]|\\xE0[\\xA0-\\xBF][\\x80-\\xBF]"
    r"|[\\xE1-\\xEC\\xEE\\xEF][\\x80-\\xBF]{2}|\\xED[\\x80-\\x9F][\\x80-\\xBF]"
    r"|\\xF0[\\x90-\\xBF][\\x80-\\xBF]{2}|[\\xF1-\\xF3][\\x80-\\xBF]{3}"
    r"|\\xF4[\\x80-\\x8F][\\x80-\\xBF]{2})*$"
)
ROUNDS = 8  # text damaged more often than this has grown to 256 times its length
CONTROL = r"[\\x00-\\x1F\\x7F-\\x9F]"

NUMBER = r"^[+-]?[0-9]+(?:[.][0-9]*)?(?:[eE][+-]?[0-9]+)?$"
WHOLE = 9007199254740992  # 2^53: beyond it a double no longer counts in ones

YEAR_2000, YEAR_2100 = 946684800000, 4102444800000  # epoch milliseconds


def parse(records: DataFrame, fields: tuple[str, ...]) -> DataFrame:
    """Each record's provenance, and `record`: its fields as strings, NULL if it is no JSON object.

    The text is read as the only element of an array: that refuses trailing text and a second object,
    on which the engines otherwise differ.
    """
    record = ", ".join(f"{name}: string" for name in fields)
    parsed = records.selectExpr(
        *PROVENANCE,
        f"from_json(concat('[', raw, ']'), 'array<struct<{record}>>', {JSON_OPTIONS}) as _parsed",
    )
    return parsed.selectExpr(*PROVENANCE, "case when size(_parsed) = 1 then get(_parsed, 0) end as record")


def text(value: str) -> str:
    """Mis-decoding repaired until stable, control characters removed, trimmed, '' to NULL."""
    once = "decode(encode(s, 'ISO-8859-1'), 'UTF-8')"
    repaired = (
        f"case when {value} rlike '{MISREAD}' then aggregate(sequence(1, {ROUNDS}), {value}, (s, i) -> "
        f"case when s rlike '{MISREAD}' and s rlike '{WELL_FORMED}' then {once} else s end) "
        f"else {value} end"
    )
    return f"nullif(trim(regexp_replace({repaired}, '{CONTROL}', '')), '')"


def number(value: str) -> str:
    """A double, or NULL; `NaN`, `Infinity` and suffixed literals are no numbers."""
    return f"case when trim({value}) rlike '{NUMBER}' then try_cast(trim({value}) as double) end"


def integer(value: str, type_: str = "int") -> str:
    """A whole number that fits `type_`, however it was written; otherwise NULL."""
    double = f"try_cast({value} as double)"
    return (
        f"coalesce(try_cast({value} as {type_}), case when trim({value}) rlike '{NUMBER}' "
        f"and {double} = floor({double}) and abs({double}) <= {WHOLE} "
        f"then try_cast({double} as {type_}) end)"
    )


def instant(value: str) -> str:
    """Epoch milliseconds as a timestamp, NULL outside the years 2000 to 2099."""
    millis = integer(value, "bigint")
    return f"case when {millis} >= {YEAR_2000} and {millis} < {YEAR_2100} then timestamp_millis({millis}) end"


def absent(value: str) -> str:
    """Whether the delivery left a value out: no such field, null, or blank."""
    return f"nullif(trim({value}), '') is null"
