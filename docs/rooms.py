"""The rooms of the runtime and what they import, as the picture in docs/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

RUNTIME = Path(__file__).resolve().parent.parent / "runtime"


def picture() -> str:
    """A Mermaid graph of the imports between rooms, without those that follow from others."""
    imports = imported_rooms()
    lines = [f"    {room} --> {other}" for room in imports for other in sorted(direct(room, imports))]
    return "\n".join(["```mermaid", "graph TD", *lines, "```"])


def imported_rooms() -> dict[str, set[str]]:
    """Each room with the rooms that it imports, also inside functions and for types; top room first."""
    found: dict[str, set[str]] = {}
    for file in sorted(RUNTIME.rglob("*.py")):
        room = file.relative_to(RUNTIME).parts[0].removesuffix(".py")
        if room != "__init__":
            found.setdefault(room, set()).update(set(rooms_in(file)) - {room})
    order = list(TopologicalSorter(found).static_order())
    return {room: found[room] for room in reversed(order)}


def rooms_in(file: Path) -> Iterator[str]:
    """The rooms that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "runtime":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runtime."):
            yield str(node.module).split(".")[1]


def direct(room: str, imports: dict[str, set[str]]) -> set[str]:
    """The rooms that a room imports and does not reach through another one."""

    def reached(start: str) -> set[str]:
        return imports[start].union(*(reached(other) for other in imports[start]))

    return imports[room] - set().union(*(reached(other) for other in imports[room]))
