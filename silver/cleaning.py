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
CLOSED = r"[}][ \\t\\r\\n]*\\z"

# UTF-8 text mis-decoded as latin-1: its characters above U+007F, as bytes, are well-formed UTF-8 sequences
# (Unicode 3.9, table 3-7). The test removes all sequences and looks for a rest: one pattern over the whole
# text overflows Java's stack when the text is long.
# Valid text can look the same: É or ß at the end of a word, followed by a no-break space or a quotation mark.
# So a repair needs evidence: a C1 control, a capital after a small letter, Ã or Â and a sign, a sign inside a
# word, or three characters of one sequence. Text may be damaged twice, so a repaired text is tested again.
SIGN = r"[\\xA2-\\xAA\\xAC-\\xBA\\xBC-\\xBE]"
EVIDENCE = (
    r"[\\x80-\\x9F]|[a-z][\\xC2-\\xD6\\xD8-\\xDE][\\x80-\\xBF]|[\\xC2\\xC3][\\xA1-\\xAA\\xAC-\\xBA\\xBC-\\xBF]"
    rf"|[\\xC4-\\xDF]{SIGN}[A-Za-z\\xC2-\\xF4]|[\\xE0-\\xF4]{SIGN}{SIGN}"
)
DAMAGED_AGAIN = rf"{EVIDENCE}|[\\xC2\\xC3][\\x80-\\xBF]"
SEQUENCE = (
    r"[\\xC2-\\xDF][\\x80-\\xBF]|\\xE0[\\xA0-\\xBF][\\x80-\\xBF]"
    r"|[\\xE1-\\xEC\\xEE\\xEF][\\x80-\\xBF]{2}|\\xED[\\x80-\\x9F][\\x80-\\xBF]"
    r"|\\xF0[\\x90-\\xBF][\\x80-\\xBF]{2}|[\\xF1-\\xF3][\\x80-\\xBF]{3}"
    r"|\\xF4[\\x80-\\x8F][\\x80-\\xBF]{2}"
)
BEYOND_ASCII = r"[^\\x00-\\x7F]"
ROUNDS = 8  # text damaged more often than this has grown to 256 times its length
CONTROL = r"[\\x00-\\x1F\\x7F-\\x9F]"
BREAK = r"[\\x09-\\x0D\\x85]+"  # tabs and line ends, which separate words
NBSP = "\u00a0"
BEYOND_PRINTABLE = r"[^\\x20-\\x7E]"

# Bounded, so that the number is finite; \z, because Java's $ also matches before a final line end.
NUMBER = r"^[+-]?[0-9]{1,99}(?:[.][0-9]*)?(?:[eE][+-]?[0-9]{1,2})?\\z"
DIGITS = r"^[+-]?[0-9]{1,99}\\z"
INT_MAX = 2147483647
WHOLE = 9007199254740992  # 2^53: above it a double skips integers

YEAR_2000, YEAR_2100 = 946684800000, 4102444800000  # epoch milliseconds


def parse(records: DataFrame, fields: tuple[str, ...]) -> DataFrame:
    """Each record's provenance, and `record`: its fields as strings, NULL if it is no JSON object.

    The text is read as a member of an object, with another member after it that must be reached: so
    trailing text, a bracket too many and a second object are refused, on which the engines otherwise
    differ.
    """
    record = ", ".join(f"{name}: string" for name in fields)
    wrapped = """concat('{"record":', raw, ',"_end":0}')"""
    parsed = records.selectExpr(
        *PROVENANCE,
        f"from_json({wrapped}, 'record struct<{record}>, _end string', {JSON_OPTIONS}) as _parsed",
    )
    is_whole = f"_parsed._end is not null and raw rlike '{CLOSED}'"
    return parsed.selectExpr(*PROVENANCE, f"case when {is_whole} then _parsed.record end as record")


def text(value: str) -> str:
    """Mis-decoding repaired until stable, control characters removed, trimmed, '' to NULL.

    A tab or a line end becomes a blank, other control characters nothing. Printable ASCII needs none of it
    but the trim: one look tells, and most values are that.
    """
    once = "decode(encode(s, 'ISO-8859-1'), 'UTF-8')"
    repaired = (
        f"aggregate(sequence(1, {ROUNDS}), {value}, (s, i) -> case when s rlike '{DAMAGED_AGAIN}' "
        f"and not regexp_replace(s, '{SEQUENCE}', '') rlike '{BEYOND_ASCII}' then {once} else s end)"
    )
    cleaned = (
        f"case when {value} rlike '{BEYOND_PRINTABLE}' then "
        f"case when {value} rlike '{EVIDENCE}' then {_tidied(repaired)} else {_tidied(value)} end "
        f"else btrim({value}) end"
    )
    return f"nullif({cleaned}, '')"


def _tidied(value: str) -> str:
    without = f"regexp_replace(regexp_replace({value}, '{BREAK}', ' '), '{CONTROL}', '')"
    return f"btrim({without}, ' {NBSP}')"


def alike(value: str) -> str:
    """Text as it is compared: a no-break space counts as a blank."""
    return f"translate({value}, '{NBSP}', ' ')"


def number(value: str) -> str:
    """A double, or NULL; `NaN`, `Infinity` and suffixed literals are no numbers."""
    trimmed = f"btrim({value})"
    return f"case when {trimmed} rlike '{NUMBER}' then try_cast({trimmed} as double) end"


def integer(value: str, type_: str = "int") -> str:
    """A whole number that fits `type_`, however it was written; otherwise NULL.

    Only digits are cast: Spark casts by way of an exception what it cannot cast, at 20 µs each.
    """
    trimmed = f"btrim({value})"
    double = f"try_cast({trimmed} as double)"
    return (
        f"case when {trimmed} rlike '{DIGITS}' then try_cast({trimmed} as {type_}) "
        f"when {trimmed} rlike '{NUMBER}' then case when {double} = floor({double}) "
        f"and abs({double}) <= {WHOLE} then try_cast({double} as {type_}) end end"
    )


def beyond_int(value: str) -> str:
    """Whether a whole number was delivered that no int holds, however large."""
    double = number(value)
    # From 2^53 on every double is whole, and floor returns a bigint, which the largest doubles exceed.
    is_whole = f"(abs({double}) > {WHOLE} or {double} = floor({double}))"
    return f"coalesce(abs({double}) > {INT_MAX} and {is_whole}, false)"


def instant(value: str) -> str:
    """Epoch milliseconds as a timestamp, NULL outside the years 2000 to 2099."""
    millis = integer(value, "bigint")
    return f"case when {millis} between {YEAR_2000} and {YEAR_2100 - 1} then timestamp_millis({millis}) end"


def absent(value: str) -> str:
    """Whether the delivery left a value out: no such field, null, or blank."""
    return f"nullif(btrim({value}, ' {NBSP}'), '') is null"
