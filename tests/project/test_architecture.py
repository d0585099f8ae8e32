"""The shape of the code: who may import whom, and what every table says about itself."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gold
from runtime.table import (
    Collect,
    Deliver,
    Fold,
    Lookup,
    Merge,
    Periods,
    Records,
    Rejects,
    Rows,
    Table,
    Upsert,
    in_order,
)
from tests.support.checkout import ROOT

LAYERS = ("bronze", "silver", "gold")
BELOW = {"bronze": (), "silver": ("bronze",), "gold": ("silver", "bronze")}
TABLES = gold.TABLES
BOOLEAN_COLUMN = re.compile(r"(is|has)_\w+")

# Every table's columns, in order: the contract with whoever reads the lake.
BRONZE = (
    "raw string, _source_file string, _source_line bigint, _delivery bigint, _batch_id bigint, "
    "_ingested_at timestamp"
)
COLUMNS = {
    "bronze.song_data": BRONZE,
    "bronze.log_data": BRONZE,
    "silver.songs": (
        "song_id string, title string, artist_id string, artist_name string, artist_location string, "
        "artist_latitude double, artist_longitude double, year int, duration double, num_songs int, "
        "_source_file string, _source_line bigint, _delivery bigint, _batch_id bigint"
    ),
    "silver.events": (
        "event_id bigint, session_id int, item_in_session int, event_at timestamp, user_id int, "
        "first_name string, last_name string, gender string, level string, registration timestamp, "
        "location string, auth string, page string, method string, status int, song string, "
        "artist string, length double, user_agent string, event_date date, "
        "_source_file string, _source_line bigint, _delivery bigint, _batch_id bigint"
    ),
    "silver.quarantine": (
        "source string, raw string, reasons array<string>, "
        "_source_file string, _source_line bigint, _delivery bigint, _batch_id bigint"
    ),
    "gold.songplays": (
        "songplay_id bigint, start_time timestamp, user_id int, level string, song_id string, "
        "artist_id string, session_id int, location string, user_agent string, year int, month int"
    ),
    "gold.users": (
        "user_id int, first_name string, last_name string, gender string, level string, "
        "_seen_at timestamp, _session_id int, _item_in_session int"
    ),
    "gold.songs": "song_id string, title string, artist_id string, year int, duration double",
    "gold.artists": "artist_id string, name string, location string, latitude double, longitude double",
    "gold.time": ("start_time timestamp, hour int, day int, week int, month int, year int, weekday string"),
    "gold.user_levels": (
        "user_id int, level string, valid_from timestamp, valid_to timestamp, is_current boolean"
    ),
}
PARTITIONS = {
    "silver.events": ("event_date",),
    "gold.songplays": ("year", "month"),
    "gold.time": ("year", "month"),
}


def modules(*folders: str) -> list[Path]:
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(file: Path, *, for_types: bool = True) -> Iterator[str]:
    """Every module a file imports, anywhere in it, and the names it imports from it."""
    waiting: list[ast.AST] = [tree_of(file)]
    while waiting:
        node = waiting.pop()
        if is_type_checking(node) and not for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def tops(file: Path, *, for_types: bool = True) -> set[str]:
    return {name.partition(".")[0] for name in imports(file, for_types=for_types)}


by_file = pytest.mark.parametrize("file", modules(*LAYERS), ids=lambda f: str(f.relative_to(ROOT)))
by_table = pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)


def test_the_runtime_imports_no_layer_and_only_what_people_start_imports_the_entry() -> None:
    above = {str(f.relative_to(ROOT)): tops(f) & {*LAYERS, "lakehouse", "tests"} for f in modules("runtime")}
    assert {file for file, names in above.items() if names - {"lakehouse"}} == set()
    assert all(file.startswith(("runtime/cli/", "runtime/demo")) for file, names in above.items() if names)


@by_file
def test_a_layer_imports_itself_lower_layers_and_the_description_of_a_table(file: Path) -> None:
    layer = file.relative_to(ROOT).parts[0]
    ours = {name for name in imports(file) if name.partition(".")[0] in {*LAYERS, "runtime", "lakehouse"}}
    allowed = {layer, *BELOW[layer]}
    wrong = {
        name
        for name in ours
        if name.partition(".")[0] not in allowed and not re.match(r"runtime\.table(\.|$)", name)
    }
    assert wrong == set()


@by_file
def test_a_layer_knows_neither_delta_nor_an_engine_nor_a_path_nor_a_session(file: Path) -> None:
    assert tops(file, for_types=False) <= {"__future__", "typing", "runtime", *LAYERS}
    assert tops(file) <= {"__future__", "typing", "runtime", "pyspark", *LAYERS}
    named = {node.id for node in ast.walk(tree_of(file)) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(tree_of(file)) if isinstance(node, ast.Attribute)}
    refused = {"SparkSession", "SparkContext", "open", "sparkSession", "read", "write", "collect", "cache"}
    assert (named | attributes) & refused == set()


def names_an_engine(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        said = ast.walk(node)
    elif isinstance(node, ast.match_case):
        said = ast.walk(node.pattern)
    else:
        return False
    return any(isinstance(part, ast.Constant) and part.value in ("sail", "spark") for part in said)


def test_only_the_engines_the_settings_and_what_people_start_tell_engines_apart() -> None:
    asking = {
        file.relative_to(ROOT).as_posix()
        for file in (*modules(*LAYERS, "runtime"), ROOT / "lakehouse.py")
        if any(names_an_engine(node) for node in ast.walk(tree_of(file)))
    }
    allowed = (
        "runtime/engine/",
        "runtime/settings/",
        "runtime/cli/",
        "runtime/demo/",
        "runtime/upkeep/engines.py",
    )
    assert {file for file in asking if not file.startswith(allowed)} == set()


def test_no_layer_speaks_of_an_engine() -> None:
    asking = {
        str(file)
        for file in modules(*LAYERS)
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Name | ast.Attribute | ast.arg)
        and {"engine", "sail", "spark"} & set(str(getattr(node, "id", getattr(node, "attr", ""))).split("_"))
    }
    assert asking == set()


def test_no_other_library_computes_a_value_of_a_table() -> None:
    others = {"duckdb", "polars", "pandas", "pyarrow", "numpy"}
    found = {str(file): tops(file) & others for file in modules(*LAYERS, "runtime/run/steps")}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.process
def test_importing_the_layers_imports_no_engine() -> None:
    heavy = "{'pyspark', 'pysail', 'duckdb', 'delta', 'pandas', 'polars'}"
    told = subprocess.run(
        [sys.executable, "-c", f"import sys, gold; print(sorted({heavy} & set(sys.modules)))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_lists_every_table_module_it_has(name: str) -> None:
    files = {file.stem for file in modules(name) if tree_of(file).body[-1:] and is_table_module(file)}
    assert files == {t.name.partition(".")[2] for t in TABLES.values() if t.layer == name}
    others = {file.stem for file in modules(name)} - files
    assert others <= {"__init__", "cleaning"}


def is_table_module(file: Path) -> bool:
    return any(ast.unparse(node).startswith("TABLE = ") for node in tree_of(file).body)


@by_table
def test_a_table_module_is_docstring_imports_constants_build_and_table(table: Table) -> None:
    module = importlib.import_module(table.name)
    assert module.TABLE is table
    assert table.build is module.build
    body = tree_of(ROOT / f"{table.name.replace('.', '/')}.py").body
    shape = "".join(kind_of(node) for node in body)
    assert re.fullmatch(r"docstring( import)+( if)?( constant)* build table", shape.strip()), shape
    assert (module.build.__doc__ or "").strip()


def kind_of(node: ast.stmt) -> str:
    text = ast.unparse(node)
    if isinstance(node, ast.Expr):
        return "docstring"
    if isinstance(node, ast.Import | ast.ImportFrom):
        return " import"
    if is_type_checking(node):
        return " if"
    if isinstance(node, ast.Assign):
        return " table" if text.startswith("TABLE = ") else " constant"
    return f" {node.name}" if isinstance(node, ast.FunctionDef) else f" {type(node).__name__}"


def test_the_tables_and_their_columns_are_these_in_this_order() -> None:
    told = {name: ", ".join(f"{c.name} {c.type}" for c in t.columns) for name, t in TABLES.items()}
    assert told == COLUMNS
    assert {n: t.partition_by for n, t in TABLES.items() if t.partition_by} == PARTITIONS


@by_table
def test_a_table_says_its_grain_and_what_each_column_means(table: Table) -> None:
    assert table.grain.startswith("one row per ")
    assert [c.name for c in table.columns if not c.comment.strip()] == []


@by_table
def test_our_own_columns_come_last(table: Table) -> None:
    ours = [name.startswith("_") for name in table.column_names]
    assert ours == sorted(ours)
    assert len(set(table.column_names)) == len(ours)


@by_table
def test_a_column_is_named_after_its_kind(table: Table) -> None:
    for column in table.columns:
        at = re.search(r"_at$", column.name)
        assert not at or column.type == "timestamp", column
        assert not column.name.endswith("_date") or column.type == "date", column
        assert column.type != "date" or column.name.endswith("_date"), column
        assert (column.type == "boolean") == bool(BOOLEAN_COLUMN.fullmatch(column.name)), column
        assert re.fullmatch(r"_?[a-z]+(_[a-z]+)*", column.name), column


@by_table
def test_keys_and_partition_columns_are_columns_that_are_never_null(table: Table) -> None:
    required = {c.name for c in table.columns if c.required}
    assert set(table.partition_by) <= required
    if isinstance(table.write, Merge):
        assert {*table.write.key, *table.write.newest_by} <= required
    if isinstance(table.write, Upsert):
        assert {*table.write.key, *table.write.identity} <= required


@by_table
def test_what_a_table_says_of_its_inputs_names_columns_they_have(table: Table) -> None:
    for given in table.inputs:
        theirs = set(given.table.column_names)
        if isinstance(given, Rows | Fold):
            assert set(given.key) <= theirs
            assert isinstance(table.write, Merge)
            assert len(given.key) == len(table.write.key)
        elif isinstance(given, Lookup):
            assert set(given.ours) <= set(table.inputs[0].table.column_names)
            assert set(given.theirs) <= theirs
        elif isinstance(given, Periods):
            assert {*given.key, *given.value, given.at, given.day} <= theirs
            assert {*given.key, *given.value, given.begins, given.ends} <= set(table.column_names)
            assert isinstance(table.write, Merge)
            assert table.write.key == (*given.key, given.begins)
            assert given.day in given.table.partition_by


def test_each_layer_writes_in_its_own_way_and_bronze_only_appends() -> None:
    writes = {"bronze": Deliver, "silver": (Upsert, Collect), "gold": Merge}
    inputs = {"bronze": (), "silver": (Records, Rejects), "gold": (Rows, Fold, Lookup, Periods)}
    for table in TABLES.values():
        assert isinstance(table.write, writes[table.layer]), table.name  # type: ignore[arg-type]
        assert all(isinstance(i, inputs[table.layer]) for i in table.inputs), table.name
        assert bool(table.inputs) == (table.layer != "bronze"), table.name
    step = ast.unparse(tree_of(ROOT / "runtime/run/steps/bronze.py"))
    assert "context.append" in step
    assert not re.search(r"merge|delete|overwrite|update", step)


def test_the_star_is_the_plays_and_the_four_dimensions_around_them() -> None:
    star = ["gold.songplays", "gold.users", "gold.songs", "gold.artists", "gold.time"]
    assert [table.name for table in gold.STAR] == star


def test_a_table_comes_after_the_tables_it_is_made_from() -> None:
    order = [table.name for table in in_order(TABLES)]
    assert sorted(order) == sorted(TABLES)
    for table in TABLES.values():
        for given in table.inputs:
            assert order.index(given.table.name) < order.index(table.name)
            assert TABLES[given.table.name] is given.table


# The rooms of runtime/ from the bottom to the top. A room imports only rooms of the lines above its own in
# this table.
ROOMS = (
    ("errors",),
    ("process", "text", "sample"),
    ("table",),
    ("settings",),
    ("s3",),
    ("delta", "sources"),
    ("engine", "ledger"),
    ("read", "run"),
    ("export", "show", "upkeep", "verify"),
    ("lake",),
    ("cli",),
    ("demo",),
)
# Imports against the direction that are still there, as "file -> room": this list may only shrink.
AGAINST: frozenset[str] = frozenset()
MOST_ENTRIES = 24


def room_of(name: str) -> str:
    return name.split(".")[1]


def imports_of_rooms() -> Iterator[tuple[Path, str, str]]:
    """File, its room, and each other room that it imports, for types and inside functions too."""
    for file in modules("runtime"):
        path = file.relative_to(ROOT)
        if len(path.parts) == 2 and path.stem == "__init__":
            continue
        mine = path.parts[1].removesuffix(".py")
        for name in {name for name in imports(file) if name.startswith("runtime.")}:
            if (theirs := room_of(name)) != mine:
                yield path, mine, theirs


def test_every_module_of_the_runtime_is_in_a_room() -> None:
    entries = {path.name for path in (ROOT / "runtime").iterdir()} - {"__init__.py", "__pycache__"}
    assert {name.removesuffix(".py") for name in entries} == {room for line in ROOMS for room in line}
    assert len(entries) + 1 <= MOST_ENTRIES


def test_a_room_imports_only_rooms_below_it() -> None:
    level = {room: number for number, line in enumerate(ROOMS) for room in line}
    against = {f"{path.as_posix()} -> {b}" for path, a, b in imports_of_rooms() if level[b] >= level[a]}
    assert against == AGAINST


def test_no_two_rooms_import_each_other_even_in_a_circle() -> None:
    below: dict[str, set[str]] = {room: set() for line in ROOMS for room in line}
    for path, mine, theirs in imports_of_rooms():
        if f"{path.as_posix()} -> {theirs}" not in AGAINST:
            below[mine].add(theirs)
    while leaves := {room for room, rooms in below.items() if not rooms & set(below)}:
        below = {room: rooms for room, rooms in below.items() if room not in leaves}
    assert below == {}
