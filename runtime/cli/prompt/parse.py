"""Parse the input: where a statement ends, and the completions of a word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

# Strings, quoted names and comments: a semicolon inside them does not end a statement.
_TOKENS = re.compile(
    r"""'(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) | \$\$.*?(?:\$\$|\Z)
        | --[^\n]* | /\*.*?(?:\*/|\Z) | ; | [^;'"$/-]+ | .""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = ("--", "/*")
_NAMED_TABLE = re.compile(r"\b(?:from|join)\s+(\w+\.\w+)(?:\s+(?:as\s+)?(\w+))?", re.IGNORECASE)
_WORD = re.compile(r"[\w.]*\Z")
KEYWORDS = (
    "all", "and", "anti", "any", "array", "as", "asc", "asof", "avg", "between", "by", "case", "cast",
    "count", "cross", "current_date", "current_timestamp", "date_diff", "date_trunc", "day", "desc",
    "describe", "distinct", "else", "end", "epoch_ms", "except", "exists", "explain", "extract", "false",
    "filter", "first", "from", "full", "group", "having", "hour", "in", "inner", "intersect", "interval",
    "is", "join", "last", "lateral", "left", "like", "limit", "list", "max", "median", "min", "month",
    "not", "null", "nulls", "offset", "on", "or", "order", "outer", "over", "partition", "qualify",
    "right", "round", "select", "semi", "show", "sum", "summarize", "tables", "then", "timestamp", "true",
    "union", "unnest", "using", "values", "when", "where", "window", "with", "year",
)  # fmt: skip


def is_command(text: str) -> bool:
    """Whether the line is a command of the prompt: it begins with a backslash or a point."""
    return text.lstrip().startswith(("\\", "."))


def is_goodbye(text: str) -> bool:
    """Whether the line is `quit` or `exit`, as in other prompts."""
    return text.strip().rstrip(";").lower() in ("quit", "exit")


def statements(text: str) -> list[str]:
    """The statements of a text, without their semicolons and without empty ones."""
    parts = [""]
    for token in _TOKENS.findall(text):
        if token == ";":
            parts.append("")
        elif not token.startswith(_COMMENT):
            parts[-1] += token
    return [part.strip() for part in parts if part.strip()]


def is_complete(text: str) -> bool:
    """Whether Enter ends the input: a command, quit, nothing, or a statement with its semicolon."""
    if is_command(text) or is_goodbye(text) or not text.strip():
        return True
    tokens = [t for t in _TOKENS.findall(text) if t.strip() and not t.startswith(_COMMENT)]
    return bool(tokens) and tokens[-1] == ";"


def completions(
    before: str, tables: Mapping[str, Sequence[str]], commands: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, int]]:
    """The completions of the word before the cursor, and how many characters each replaces.

    `tables`: the columns of each table. `commands`: the arguments of each command of the prompt.
    """
    if is_command(before):
        word, choices = _of_command(before.lstrip(), commands)
    else:
        match = _WORD.search(before)
        word = match[0] if match else ""
        choices = _of_statement(before[: len(before) - len(word)], word, tables)
    for choice in choices:
        if choice.lower().startswith(word.lower()) and choice != word:
            yield choice, len(word)


def _of_command(line: str, commands: Mapping[str, Sequence[str]]) -> tuple[str, Sequence[str]]:
    command, space, argument = line.partition(" ")
    return (argument, commands.get(command, ())) if space else (command, list(commands))


def _of_statement(before: str, word: str, tables: Mapping[str, Sequence[str]]) -> list[str]:
    """Columns after `table.`; else columns of the tables already named, all tables, and keywords."""
    named = _NAMED_TABLE.findall(before)
    owner, point, _ = word.rpartition(".")
    if point:
        columns = [f"{owner}.{c}" for c in tables.get(_table_of(owner, named), ())]
        return [*tables, *columns]
    relevant = [t for t, _ in named if t in tables] or list(tables)
    columns = list(dict.fromkeys(c for t in relevant for c in tables[t]))
    upper = word.isupper()
    return [*columns, *tables, *(k.upper() if upper else k for k in KEYWORDS)]


def _table_of(owner: str, named: Sequence[tuple[str, str]]) -> str:
    """The table of an alias, a bare name or a full name."""
    for table, alias in named:
        if owner in (alias, table, table.partition(".")[2]):
            return table
    return owner
