"""All values set for each setting, with the place that sets each one.

Lowest precedence first: conf/base.yaml, conf/<target>.yaml, LAKEHOUSE_* environment, --set, flags.
Names are flat: `lake`, `s3.endpoint`, and for Spark's configuration Spark's own key.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from runtime.settings.secrets import ADVICE, looks_secret, secret_comments, shown
from runtime.text.nearest import nearest

Flag = str | os.PathLike[str] | None
FLAGS = ("lake", "song_data", "log_data", "engine")
GROUPS = ("s3", "spark")
PREFIX = "LAKEHOUSE_"
# The target chooses the conf files; the other variable belongs to the test suite.
NOT_SETTINGS = ("LAKEHOUSE_TARGET", "LAKEHOUSE_NO_SKIPS")

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times faster


@dataclass(frozen=True)
class Given:
    """One value for one setting; `where` names the place in the user's terms, such as `--set lake`."""

    key: str
    value: object
    where: str
    layer: Literal["base", "target", "environment", "set", "flag"]

    @property
    def in_file(self) -> bool:
        """Whether a conf file sets it: YAML gives the type, and paths are relative to the repository."""
        return self.layer in ("base", "target")


def targets(conf: Path) -> list[str]:
    """The available targets: every YAML file of the folder except base."""
    return sorted(path.stem for path in conf.glob("*.yaml") if path.stem != "base")


def from_file(path: Path, problems: list[str]) -> list[Given]:
    """The settings of a conf file. Problems of the file itself are added to `problems`."""
    name = f"{path.parent.name}/{path.name}"
    text = _text(path, name, problems)
    problems += [f"{name}:{line}: the comment {ADVICE}" for line in secret_comments(text)]
    layer: Literal["base", "target"] = "base" if path.stem == "base" else "target"
    settings = _flat(_mapping(text, name, problems), name, problems)
    return [Given(key, value, f"{name}:{key}", layer) for key, value in settings]


def from_environment(environ: Mapping[str, str], problems: list[str]) -> Iterator[Given]:
    """The LAKEHOUSE_* variables; a double underscore stands for the dot of a nested key."""
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        key = name.removeprefix(PREFIX).lower().replace("__", ".")
        if key.startswith("spark."):  # variable names are upper case, and Spark's keys are case-sensitive
            problems.append(f"environment variable {name}: use --set spark.KEY=VALUE instead")
        else:
            yield Given(key, _from_text(text), f"environment variable {name}", "environment")


def from_sets(sets: Sequence[str], problems: list[str]) -> Iterator[Given]:
    """The `key=value` of each --set."""
    for item in sets:
        key, equals, text = item.partition("=")
        key = key.strip()
        if equals:
            yield Given(key, _from_text(text), f"--set {key}", "set")
        else:
            got = "" if looks_secret(item, item) else f", got {shown(item)}"
            problems.append(f"--set: expected key=value{got}")


def from_flags(flags: Mapping[str, Flag], problems: list[str]) -> Iterator[Given]:
    """The values of the command line's flags; None means that the flag was not used."""
    for key, value in flags.items():
        where = option(key)
        if key not in FLAGS:
            problems.append(f"{where}: unknown{nearest(where, [option(flag) for flag in FLAGS])}")
        elif value is not None:
            yield Given(key, _from_text(os.fspath(value)), where, "flag")


def option(key: str) -> str:
    """The name of a setting's flag on the command line."""
    return "--" + key.replace("_", "-")


def unknown(given: Given, known: Sequence[str]) -> str | None:
    """The error message for an unknown setting name, or None."""
    if given.key.startswith("spark.") or given.key in known:
        return None
    if given.key == "target":
        return f"{given.where}: a target is chosen with --target or LAKEHOUSE_TARGET"
    if given.key in GROUPS:
        example = "s3.endpoint" if given.key == "s3" else "spark.executor.memory"
        return f"{given.where}: expected a mapping of keys such as {example}"
    if given.layer == "environment":
        names = [PREFIX + key.upper().replace(".", "__") for key in known]
        name = given.where.removeprefix("environment variable ")
        return f"{given.where}: unknown{nearest(name, names)}"
    return f"{given.where}: unknown key{nearest(given.key, known)}"


def _from_text(text: str) -> str | None:
    return None if text == "null" else text


def _text(path: Path, name: str, problems: list[str]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        problems.append(f"{name}: cannot be read: {reason}")
        return ""


def _mapping(text: str, name: str, problems: list[str]) -> dict[Any, Any]:
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        problems += [f"{name}:{line}: {key} stands here twice" for line, key in _repeated(node)]
        content = loader.construct_document(node) if node else {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        problems.append(f"{name}:{line}: not valid YAML: {error.problem or error.context}")
        return {}
    except (yaml.YAMLError, ValueError) as error:  # such as a control character, or 2018-13-45
        problems.append(f"{name}: not valid YAML: {error}")
        return {}
    if isinstance(content, dict):
        return content
    problems.append(f"{name}: expected a mapping of settings, got {shown(content)}")
    return {}


def _repeated(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    # YAML forbids repeated keys; PyYAML silently takes the last one.
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            yield key.start_mark.line + 1, key.value
        seen.add(str(key.value))
        yield from _repeated(value)


def _flat(content: Mapping[Any, object], name: str, problems: list[str]) -> Iterator[tuple[str, object]]:
    for key, value in ((str(key), value) for key, value in content.items()):
        if key not in GROUPS:
            if key.startswith("spark."):
                wrong = ADVICE if looks_secret(key, value) else "write it under `spark:`"
                problems.append(f"{name}:{key}: {wrong}")
            else:
                yield key, value
        elif isinstance(value, Mapping):
            yield from _flat_group(key, value, name, problems)
        elif value is not None:  # a group whose lines are all commented out is null
            yield key, value


def _flat_group(
    group: str, content: Mapping[Any, object], name: str, problems: list[str]
) -> Iterator[tuple[str, object]]:
    for inner, value in ((str(inner), value) for inner, value in content.items()):
        if group != "spark":
            yield f"{group}.{inner}", value
        elif inner.startswith("spark."):
            yield inner, value
        else:
            wrong = "Spark's keys begin with `spark.`"
            problems.append(f"{name}:{inner}: {ADVICE if looks_secret(inner, value) else wrong}")
