"""Commits in plain JSON, for tables that delta-rs cannot open or write to.

Another engine may set table features that delta-rs refuses (row tracking, clustering, type widening). A new
commit restores protocol, schema and files.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runtime.delta.commit_log import Log, actions

Action = Mapping[str, Any]


@dataclass
class Content:
    """A version of a table: `protocol`, `metadata`, and its live files by path and deletion vector."""

    protocol: Action = field(default_factory=dict)
    metadata: Action = field(default_factory=dict)
    files: dict[str, Action] = field(default_factory=dict)

    def apply(self, commit: Iterable[Action]) -> None:
        """Apply the actions of the next commit."""
        for action in commit:
            self.protocol = action.get("protocol", self.protocol)
            self.metadata = action.get("metaData", self.metadata)
            if "remove" in action:
                self.files.pop(_key(action["remove"]), None)
            if "add" in action:
                self.files[_key(action["add"])] = action["add"]


def revert(log: Log, version: int) -> None:
    """Restore a table to `version` by one new version.

    Raises FileExistsError if another writer took the number; ValueError if the log has a gap or a data file
    is missing.
    """
    before = content(log, version)
    if gone := log.missing([add["path"] for add in before.files.values()]):
        raise ValueError(f"{len(gone)} of its data files are gone, such as {gone[0]}")
    _commit(log, before)


def empty(log: Log, declared: bytes) -> None:
    """Remove all rows of a table, and set the protocol and schema of the creating commit `declared`.

    Raises FileExistsError if another writer took the number; ValueError if the log has a gap.
    """
    target = Content()
    target.apply(actions(declared))
    _commit(log, target)


def is_rearranged(log: Log, version: int, upto: int) -> bool:
    """Whether the commits after a version moved rows between files and changed none, as OPTIMIZE does."""
    bodies = (log.read(number) or b"" for number in range(version + 1, upto + 1))
    commits = (action for body in bodies for action in actions(body))
    files = [action[kind] for action in commits for kind in ("add", "remove") if kind in action]
    return not any(file.get("dataChange", True) for file in files)


def content(log: Log, version: int) -> Content:
    """The content of a version, from the commits up to it. Raises ValueError if one is missing."""
    version_content = Content()
    for number in range(version + 1):
        body = log.read(number)
        if body is None:
            raise ValueError(f"its log has no commit {number}")
        version_content.apply(actions(body))
    return version_content


def _commit(log: Log, target: Content) -> None:
    head = log.versions()[-1]
    now = content(log, head).files
    at = int(time.time() * 1000)
    commit: list[Action] = [
        {"commitInfo": {"timestamp": at, "operation": "RESTORE", "engineInfo": "sparkify-lakehouse"}},
        {"protocol": target.protocol},
        {"metaData": target.metadata},
        *({"remove": _removal(add, at)} for key, add in now.items() if key not in target.files),
        *({"add": {**add, "dataChange": True}} for key, add in target.files.items() if key not in now),
    ]
    log.put(head + 1, "".join(f"{json.dumps(action)}\n" for action in commit).encode())


def _removal(add: Action, at: int) -> Action:
    named = {k: add[k] for k in ("path", "partitionValues", "size", "deletionVector") if k in add}
    return {**named, "deletionTimestamp": at, "dataChange": True, "extendedFileMetadata": True}


def _key(file: Action) -> str:
    return json.dumps([file["path"], file.get("deletionVector")], sort_keys=True)
