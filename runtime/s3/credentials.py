"""The part of the standard chain that our own client lacks: profiles in ~/.aws.

It knows the environment, web identity, container and instance roles. A profile may hold keys or name a
command; one of a sign-in or of another role needs that sign-in first.
"""

from __future__ import annotations

import configparser
import json
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import StorageError
from runtime.s3.access import CHAIN

if TYPE_CHECKING:
    from obstore.store import S3Credential

NONE = (
    f"S3: no credentials were found. Provide {CHAIN}; "
    "sources in a public bucket are read without any by --set s3.anonymous=true."
)
Provider = Callable[[], "S3Credential"]


KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
ROLES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def provider() -> Provider | None:
    """What gives a profile's credentials; None where the client is to ask the rest of the chain.

    The environment goes first, as in the chain. Raises StorageError for a profile that is not there or
    needs a sign-in, and where nothing is left to ask.
    """
    environ = os.environ  # no default value: those travel with a function to the workers
    forget_empty(environ)
    given = [name for name in KEYS if environ.get(name)]
    if len(given) == len(KEYS):
        return None
    if given:
        (absent,) = set(KEYS) - set(given)
        raise StorageError(f"{given[0]} is set in the environment, and {absent} is not: set both, or none.")
    chosen = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    if not chosen and any(environ.get(name) for name in ROLES):
        return None
    found = profile()
    if "aws_access_key_id" in found:
        return lambda: _static(found)
    if "credential_process" in found:
        return lambda: _by_command(found["credential_process"])
    if chosen:
        raise StorageError(_unusable(chosen, found))
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise StorageError(NONE)
    return None


def forget_empty(environ: MutableMapping[str, str]) -> None:
    """Take AWS's variables away that hold nothing, as unit files and containers set them: delta-rs and the
    engines would take an empty profile or key for one that was chosen."""
    for name in [name for name, value in environ.items() if name.startswith("AWS_") and not value]:
        del environ[name]


def profile() -> dict[str, str]:
    """The entries of the profile that is in force; none where there is none. Raises StorageError."""
    environ = os.environ
    return _read(environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or "default", environ)


def _read(profile: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The profile's entries; those of the credentials file win."""
    home = Path(environ.get("HOME", "~")).expanduser() / ".aws"
    config = environ.get("AWS_CONFIG_FILE") or str(home / "config")
    credentials = environ.get("AWS_SHARED_CREDENTIALS_FILE") or str(home / "credentials")
    section = profile if profile == "default" else f"profile {profile}"
    return {**_section(config, section), **_section(credentials, profile)}


def _section(path: str, name: str) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise StorageError(f"{path}: it cannot be read as an AWS file: {type(error).__name__}.") from None
    return dict(parser[name]) if parser.has_section(name) else {}


def _static(found: Mapping[str, str]) -> S3Credential:
    return {
        "access_key_id": found["aws_access_key_id"],
        "secret_access_key": found.get("aws_secret_access_key", ""),
        "token": found.get("aws_session_token"),
        "expires_at": None,
    }


def _by_command(command: str) -> S3Credential:
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise StorageError(f"credential_process of the AWS profile ended with exit code {done.returncode}.")
    said = json.loads(done.stdout)
    expires = said.get("Expiration")
    return {
        "access_key_id": said["AccessKeyId"],
        "secret_access_key": said["SecretAccessKey"],
        "token": said.get("SessionToken"),
        "expires_at": datetime.fromisoformat(expires) if expires else _soon(),
    }


def _soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def _unusable(profile: str, found: Mapping[str, str]) -> str:
    if not found:
        return f"AWS_PROFILE: there is no profile {profile!r} in ~/.aws/config or ~/.aws/credentials."
    return (
        f"AWS_PROFILE: the profile {profile!r} holds no keys; it needs a sign-in or another role. Put what "
        'they give into the environment: eval "$(aws configure export-credentials --profile '
        f'{shlex.quote(profile)} --format env)", and unset AWS_PROFILE.'
    )
