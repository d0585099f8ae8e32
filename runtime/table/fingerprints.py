"""Fingerprints of each table's code, to compare with the code that made a batch."""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import cache
from pathlib import Path

from runtime.table import Merge, Table, Upsert

LAYERS = ("bronze", "silver", "gold")
SEVERAL = "several"  # the rules of a table whose rows come from several versions of its code


def shape(table: Table) -> str:
    """Columns, types, key and partitions: a change of them needs a rebuild."""
    columns = ", ".join(f"{c.name} {c.type}{' not null' * c.required}" for c in table.columns)
    key = table.write.key if isinstance(table.write, Merge | Upsert) else ()
    return f"{columns}; key ({', '.join(key)}); partitioned by ({', '.join(table.partition_by)})"


def rules(table: Table) -> str:
    """A digest of the code that makes the table: its module and the layer modules it imports.

    Comments and docstrings do not count.
    """
    seen: dict[str, str] = {}
    _collect(table.build.__module__, seen)
    return hashlib.sha256("\n".join(seen[name] for name in sorted(seen)).encode()).hexdigest()[:16]


def _collect(module: str, seen: dict[str, str]) -> None:
    loaded = sys.modules.get(module)
    if module in seen or loaded is None or not loaded.__file__:
        return
    if Path(loaded.__file__).name == "__init__.py":
        return  # a layer's list of tables makes no rows
    seen[module], imported = _parsed(Path(loaded.__file__).read_text(encoding="utf-8"))
    for name in imported:
        if name.partition(".")[0] == module.partition(".")[0]:  # other layers have their own digest
            _collect(name, seen)


@cache  # several tables share a module, and `run --watch` compares after every batch
def _parsed(code: str) -> tuple[str, list[str]]:
    tree = ast.parse(code)
    return ast.dump(_without_docstrings(tree)), _imported(tree)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            del body[0]
    return tree


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imported(tree: ast.Module) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return [name for name in names if name.partition(".")[0] in LAYERS]
