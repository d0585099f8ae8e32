"""Writes the generated parts of the documentation: `python -m docs.generate`.

A page says where a part goes with `<!-- generated: NAME -->` and `<!-- end of NAME -->`. What stands between
them comes from the code, and a test holds it to the code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

import bronze
import gold
import silver
from benchmarks.page import parts as benchmark_parts
from bronze import log_data
from docs import rooms, settings
from runtime.cli.commands import shared_options
from runtime.cli.program import SECTIONS, program
from runtime.export.ddl import Star
from runtime.run.steps.silver import READABLE
from runtime.table import Collect, Deliver, Input, Merge, Table, Upsert
from silver import events, songs
from silver.cleaning import absent, beyond_int, integer
from tests.support.changing_files import CHANGES
from tests.support.dirty_files import FILES, MAX_UNPACKED, BadFile
from tests.support.dirty_records import LOGS, SONGS, Dirt

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{n}.md"
        for n in (
            "tables",
            "commands",
            "configuration",
            "input",
            "export",
            "adding-a-table",
            "performance",
            "architecture",
        )
    ),
)
PART = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL)
COMMAND_LINE = "python lakehouse.py"
WIDTH = 100

# Gold first: it is what readers come for.
TABLES = (*gold.GOLD, *silver.TABLES, *bronze.TABLES)


def main() -> int:
    """Bring every page up to date; names those that changed."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := updated(text)) != text:
            page.write_text(new, encoding="utf-8")
            sys.stdout.write(f"{page.relative_to(ROOT)}\n")
    return 0


def updated(text: str) -> str:
    """A page with all its generated parts as the code has them now. Raises KeyError for an unknown name."""
    return PART.sub(lambda part: part[1] + PARTS[part["name"]]() + "\n" + part[3], text)


def catalogue() -> str:
    """Every gold table with its grain and the columns that do not begin with `_`."""
    rows = [(f"`{t.name}`", t.grain.removeprefix("one row per "), ", ".join(t.content)) for t in gold.GOLD]
    return markdown_table(("table", "one row per", "columns"), rows)


def tables() -> str:
    """Every table in full."""
    return "\n\n".join(described(table) for table in TABLES)


def described(table: Table) -> str:
    """One table: what it is, where its rows come from, how they are written, and its columns."""
    about = (sys.modules[table.build.__module__].__doc__ or "").partition("\n")[0]
    facts = [f"- {table.grain}", f"- made from {made_from(table)}", f"- {written(table)}"]
    if table.partition_by:
        facts.append(f"- partitioned by {', '.join(table.partition_by)}")
    columns = [(f"`{c.name}`", c.type, "" if c.required else "yes", c.comment) for c in table.columns]
    shape = markdown_table(("column", "type", "may be NULL", "meaning"), columns)
    return "\n\n".join((f"## {table.name}", about, "\n".join(facts), shape))


def made_from(table: Table) -> str:
    """The tables a table is made from, or its source."""
    if isinstance(table.write, Deliver):
        return f"the files of `{table.write.source}`"
    return " and ".join(f"`{i.table.name}` ({kind(i)})" for i in table.inputs)


def kind(input_: Input) -> str:
    """What the input is to the table, by the name of its class."""
    return type(input_).__name__.lower()


def written(table: Table) -> str:
    """How rows get into the table."""
    match table.write:
        case Deliver():
            return "appended as delivered; nothing is ever changed or deleted"
        case Upsert(identity=identity):
            return f"of several records with the same {', '.join(identity)} the one delivered last wins"
        case Collect():
            return "appended"
        case Merge(key=key):
            return f"merged by {', '.join(key)}"


def commands() -> str:
    """Every command with its own options, by section."""
    rows = [
        (f"**{title}** `{usage(c)}`" if c is own[0] else f"`{usage(c)}`", (c.help or "").partition("\n")[0])
        for title, own in SECTIONS.items()
        for c in own
    ]
    return markdown_table(("command", "does"), rows)


def usage(command: click.Command) -> str:
    """`run [--full-refresh] …`: the command with its own arguments and options."""
    if isinstance(command, click.Group):
        return f"{command.name} {'|'.join(command.commands)}"
    shared = {option.name for option in shared_options()}
    words = [
        argument(p, command)
        if isinstance(p, click.Argument)
        else optional(p, f"{p.opts[0]} {value_of(p, command)}".strip())
        for p in command.params
        if p.name not in shared and not getattr(p, "hidden", False)
    ]
    return " ".join([str(command.name), *words])


def argument(parameter: click.Argument, command: click.Command) -> str:
    """What stands for an argument; click puts some of the optional ones in brackets itself."""
    shown = parameter.make_metavar(context_of(command))
    return shown if shown.startswith("[") else optional(parameter, shown)


def optional(parameter: click.Parameter, text: str) -> str:
    """The text, in brackets unless it must be given."""
    return text if parameter.required else f"[{text}]"


def value_of(parameter: click.Parameter, command: click.Command) -> str:
    """What stands after the option's name: nothing after a flag."""
    is_flag = isinstance(parameter, click.Option) and parameter.is_flag
    return "" if is_flag else parameter.make_metavar(context_of(command)).replace("INTEGER", "N")


def help_texts() -> str:
    """What `--help` says, of the program and of each command without the shared options."""
    texts = [f"```text\n{help_of(program, COMMAND_LINE)}\n```"]
    for command in program.commands.values():
        own = "\n\n".join(
            f"```text\n{text}\n```" for text in own_help(command, f"{COMMAND_LINE} {command.name}")
        )
        texts.append(f"## {command.name}\n\n{own}")
    return "\n\n".join(texts)


def own_help(command: click.Command, name: str) -> Iterator[str]:
    """The help of a command and of each of its verbs, without the shared options."""
    yield help_of(command, name).partition("\n\nShared options:")[0]
    for verb, own in getattr(command, "commands", {}).items():
        yield from own_help(own, f"{name} {verb}")


def help_of(command: click.Command, name: str) -> str:
    """The help, at a width that does not depend on the terminal."""
    return command.get_help(context_of(command, name))


def context_of(command: click.Command, name: str = "") -> click.Context:
    """A context to ask the command about itself."""
    options = {"help_option_names": ["-h", "--help"]}
    return click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH, **options)  # type: ignore[arg-type]


def rules() -> str:
    """Every reason for quarantine, with the predicate that must be true."""
    return "\n\n".join(
        f"**{source}**\n\n{markdown_table(('reason', 'must be true'), rules_of(table, fields))}"
        for source, table, fields in (
            ("song_data", songs.TABLE, songs.FIELDS),
            ("log_data", events.TABLE, log_data.FIELDS),
        )
    )


def rules_of(table: Table, fields: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The expectations of a table, long expressions about a field named by what they mean."""
    yield f"`{READABLE}`", "the record is one whole JSON object (RFC 8259)"
    for reason, predicate in table.expectations.items():
        for field in fields:
            predicate = predicate.replace(absent(f"record.{field}"), f"{field} is absent")
            predicate = predicate.replace(integer(f"record.{field}"), f"integer({field})")
            predicate = predicate.replace(beyond_int(f"record.{field}"), f"{field} is beyond int")
            predicate = predicate.replace(f"record.{field}", field)
        yield f"`{reason}`", f"`{predicate}`"


def dirt() -> str:
    """Every dirty case that the tests deliver, with its outcome."""
    return "\n\n".join(
        f"**{title}**\n\n{markdown_table(('what is delivered', 'what becomes of it'), rows)}"
        for title, rows in (
            ("Logs, and text of any kind", [(c.what, outcome(c)) for c in LOGS]),
            ("Songs", [(c.what, outcome(c)) for c in SONGS]),
            ("Files and folders", [(c.what, outcome_of_file(c)) for c in FILES]),
        )
    )


def changes() -> str:
    """Every way of changing a file that the tests try, with its outcome."""
    return markdown_table(("the file is", "the next run"), ((c.what, c.outcome) for c in CHANGES))


def outcome(case: Dirt) -> str:
    """What becomes of the records: kept, or in quarantine with these reasons."""
    reasons = " and ".join(", ".join(f"`{r}`" for r in reasons) for reasons in dict.fromkeys(case.rejected))
    parts = [f"quarantined: {reasons}"] if reasons else []
    parts += ["the rest is kept" if reasons else "kept"] if case.kept else []
    return "; ".join([*parts, *filter(None, [case.note])])


def outcome_of_file(case: BadFile) -> str:
    """What becomes of the file: read, or reported with this error."""
    errors = ", ".join(f"*{error}*" for error in dict.fromkeys(case.failed.values()))
    parts = [f"reported: {errors}"] if errors else []
    parts += ["the rest is read" if errors else "read"] if case.is_kept else []
    return "; ".join([*parts, *filter(None, [case.note])]).replace(str(MAX_UNPACKED), "N")


def configuration() -> str:
    """Every setting."""
    return markdown_table(settings.HEADER, settings.rows())


def star() -> str:
    """The star schema as an export declares it in PostgreSQL, without comments."""
    made = Star(gold.STAR, "sparkify")
    said = (s for t in made.tables for s in (made.create(t), made.primary_key(t), *made.keys(t)))
    statements = "".join(f"{statement};\n" for statement in said).replace('"', "")
    return f"```sql\n{statements}```"


def user_levels_module() -> str:
    """The module of the worked example, as the file to make."""
    text = (ROOT / "gold" / "user_levels.py").read_text(encoding="utf-8")
    return f"<!-- file: gold/user_levels.py -->\n```python\n{text}```"


def markdown_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; a `|` in a cell would end it."""
    names = list(header)
    lines = [names, ["---"] * len(names), *rows]
    cells = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


PARTS: dict[str, Callable[[], str]] = {
    "catalogue": catalogue,
    "commands": commands,
    "tables": tables,
    "help": help_texts,
    "rules": rules,
    "dirt": dirt,
    "changes": changes,
    "settings": configuration,
    "star": star,
    "rooms": rooms.picture,
    "user-levels-module": user_levels_module,
    **benchmark_parts(markdown_table),
}

if __name__ == "__main__":
    sys.exit(main())
