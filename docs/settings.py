"""The settings as a table: types and bounds from the model, defaults and meanings from conf/base.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from runtime.settings.layers import PREFIX
from runtime.settings.load import CONF, LOCATIONS
from runtime.settings.model import KEYS, S3, Settings, in_bytes

HEADER = ("setting", "type", "default", "environment variable", "for example", "meaning")
EXAMPLES = {
    "lake": "s3://my-bucket/lakehouse",
    "song_data": "/data/song_data",
    "log_data": "s3://my-bucket/log_data",
    "log_json_paths": "s3://my-bucket/log_json_path.json",
    "engine": "spark",
    "batch_bytes": "1GiB",
    "max_record_bytes": "64MiB",
    "max_unpacked_bytes": "8GiB",
    "lease_seconds": "120",
    "partitions": "8",
    "compact_after": "200",
    "target_file_size": "256MiB",
    "history_days": "90",
    "s3.endpoint": "http://127.0.0.1:9000",
    "s3.region": "eu-central-1",
    "s3.anonymous": "true",
}


def rows() -> Iterator[tuple[str, ...]]:
    """A row for each setting, in the order of the model."""
    defaults, meanings = base()
    for key in KEYS:
        variable = PREFIX + key.upper().replace(".", "__")
        yield (
            f"`{key}`",
            type_of(key),
            f"`{defaults[key]}`",
            f"`{variable}`",
            f"`{EXAMPLES[key]}`",
            meanings[key],
        )
    key = "spark.executor.memory"
    yield "`spark.*`", "text", "", f"none: `--set {key}=4g`", f"`{key}: 4g`", meanings["spark"]


def type_of(key: str) -> str:
    """What may be given, with its bounds."""
    group, _, inner = key.partition(".")
    model = S3 if inner else Settings
    field = model.model_fields[inner or group]
    schema = model.model_json_schema()["properties"][inner or group]
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    or_null = ", or null" if len(kinds) < len(schema.get("anyOf", [schema])) else ""
    within = (m for kind in get_args(field.annotation) for m in getattr(kind, "__metadata__", ()))
    is_size = any(getattr(m, "func", None) is in_bytes for m in (*field.metadata, *within))
    return ("size" if is_size else described(kinds[0], key)) + or_null


def described(kind: dict[str, Any], key: str) -> str:
    """A type of JSON schema in words."""
    if "enum" in kind:
        return " or ".join(kind["enum"])
    if "minimum" in kind:
        return f"integer from {kind['minimum']}"
    if kind["type"] == "boolean":
        return "true or false"
    return "location" if key in LOCATIONS else "text"


def base() -> tuple[dict[str, str], dict[str, str]]:
    """By key, the default as base.yaml writes it, and what the comment above it says."""
    defaults, meanings = dict[str, str](), dict[str, str]()
    text = (CONF / "base.yaml").read_text(encoding="utf-8")
    for comment, lines in re.findall(r"((?:^ *# .*\n)+)((?:^ *\w+:.*\n)+)", text, re.MULTILINE):
        for indent, name, default in re.findall(r"^( *)(\w+): *(.*)", lines, re.MULTILINE):
            key = f"s3.{name}" if indent else name
            defaults[key] = default
            meanings[key] = " ".join(line.strip(" #") for line in comment.splitlines())
    return defaults, meanings
