"""The names, types, bounds and defaults of the settings; conf/base.yaml documents each one."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from runtime.settings.layers import GROUPS, Given
from runtime.settings.secrets import shown

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i)?)?b?", re.IGNORECASE)


def in_bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    size = _SIZE.fullmatch(value.strip())
    if size is None:
        raise ValueError("expected a size such as 268435456, 256MiB or 64 MB")
    power = " kmgt".index((size[2] or " ").lower())
    return int(float(size[1]) * (1024 if size[3] else 1000) ** power)


def _as_conf_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("expected a text, a number, true or false")


def _web_address(value: str) -> str:
    if not re.match(r"https?://[^/]", value):
        raise ValueError("expected an address such as http://127.0.0.1:9000")
    return value


Bytes = Annotated[int, BeforeValidator(in_bytes), Field(ge=1)]
ConfValue = Annotated[str, BeforeValidator(_as_conf_value)]
Text = Annotated[str, Field(min_length=1)]


# Sail's memory grows with the size of a batch. On Spark every batch costs seconds of planning and commits:
# three million events took 203 s in batches of this size and 258 s in batches of Sail's size.
BATCH_BYTES = {"sail": 256 * 1024**2, "spark": 1024**3}


class S3(BaseModel):
    """Endpoint, region and signing of S3. Credentials come from the standard chain, never from settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: Annotated[str, AfterValidator(_web_address)] | None = None
    region: Text | None = None
    anonymous: bool = False


class Settings(BaseModel):
    """All settings of a command. Locations are absolute local paths or s3:// URIs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = "local"
    lake: Text
    song_data: Text | None = None
    log_data: Text | None = None
    log_json_paths: Text | None = None
    engine: Literal["sail", "spark"] = "sail"
    batch_bytes: Bytes | None = None
    max_record_bytes: Annotated[Bytes, Field(le=3 * 1024**3 // 2)] = (
        256 * 1024**2
    )  # an Arrow string is limited to 2 GiB
    max_unpacked_bytes: Bytes = 2 * 1024**3
    lease_seconds: Annotated[int, Field(ge=1)] = 60
    partitions: Annotated[int, Field(ge=1)] | None = None
    compact_after: Annotated[int, Field(ge=0)] | None = 50
    target_file_size: Bytes = 128 * 1024**2
    history_days: Annotated[int, Field(ge=0)] | None = None
    spark: Mapping[str, ConfValue] = {}
    s3: S3 = S3()
    # The place that sets each key, for --debug and for error messages.
    origin: Mapping[str, str] = Field(default={}, exclude=True, repr=False)

    @property
    def bytes_of_batch(self) -> int:
        """Bytes of sources that one batch may hold: the setting, or the engine's default."""
        return self.batch_bytes or BATCH_BYTES[self.engine]


KEYS = (
    *(name for name in Settings.model_fields if name not in ("target", "origin", *GROUPS)),
    *(f"s3.{name}" for name in S3.model_fields),
)


def choices(key: str) -> tuple[str, ...]:
    """The allowed values of a setting with an enumerated type; empty for other types."""
    group, _, inner = key.partition(".")
    fields = S3.model_fields if group == "s3" else Settings.model_fields
    kind = fields[inner or group].annotation if key in KEYS else None
    if kind is bool:
        return ("true", "false")
    return get_args(kind) if get_origin(kind) is Literal else ()


def wrong_value(given: Given) -> str | None:
    """The error message for a value of the wrong type or out of bounds, or None."""
    # Each value is validated alone, so overridden values are checked too. Only YAML has types of its
    # own and is checked strictly: `yes` is not the number 1 there, "60" in the environment is 60.
    group, _, _ = given.key.partition(".")
    try:
        Settings.model_validate(nested([given]), strict=given.in_file)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            if detail["loc"][0] == group and detail["type"] != "missing":
                return f"{given.where}: {_expected(detail['msg'])}, got {shown(given.value)}"
    return None


def _expected(message: str) -> str:
    text = message.removeprefix("Value error, ").partition(", unable")[0]
    return re.sub(r"^(Input|String) should (be|have) ", "expected ", text)


def nested(given: Iterable[Given]) -> dict[str, Any]:
    """The values as input of Settings; the later of two values for one setting wins."""
    values: dict[str, Any] = {}
    for one in given:
        group, dot, inner = one.key.partition(".")
        if dot:
            values.setdefault(group, {})[one.key if group == "spark" else inner] = one.value
        else:
            values[one.key] = one.value
    return values
