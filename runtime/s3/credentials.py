"""The part of the standard credential chain that our own client lacks: profiles in ~/.aws.

The client itself supports the environment, web identity, container and instance roles.
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
from runtime.s3.assumed import SIGN_INS, assumed, assumes
from runtime.s3.config import CHAIN

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
# Profiles with a second factor, and those of `aws login`, need a user at a prompt or a browser.
ONLY_BY_HAND = ("mfa_serial", "login_session")


def provider() -> Provider | None:
    """A provider of the profile's credentials; None when the client should use the rest of the chain.

    The environment has precedence, as in the chain. Raises StorageError for a profile that does not
    exist or has no credentials, and when the rest of the chain is disabled.
    """
    environ = os.environ
    present = _given()
    if len(present) == len(KEYS):
        return None
    if present:
        (absent,) = set(KEYS) - set(present)
        raise StorageError(f"{present[0]} is set in the environment, and {absent} is not: set both, or none.")
    chosen = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    if not chosen and any(environ.get(name) for name in ROLES):
        return None
    entries = profile()
    if any(entry in entries for entry in ONLY_BY_HAND):
        raise StorageError(_by_hand("asks for a code or a browser, which a run cannot"))
    if assumes(entries):
        return assumed(_named())
    if "aws_access_key_id" in entries:
        return lambda: _static(entries)
    if "credential_process" in entries:
        return lambda: _by_command(entries["credential_process"])
    if chosen and not entries:
        raise StorageError(
            f"AWS_PROFILE: there is no profile {chosen!r} in ~/.aws/config or ~/.aws/credentials."
        )
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise StorageError(NONE)
    return None


def keys() -> dict[str, str]:
    """The profile's current credentials as AWS variables, for a client without support for profiles.

    Empty when the client should use the rest of the chain. Raises StorageError.
    """
    provide = provider()
    if provide is None:
        return {}
    keys = provide()
    values = (keys["access_key_id"], keys["secret_access_key"], keys.get("token"))
    return {name: value for name, value in zip((*KEYS, "AWS_SESSION_TOKEN"), values, strict=True) if value}


def refuse_sign_in() -> None:
    """Raise StorageError for a profile with a sign-in, for which hadoop-aws lacks modules of Amazon's SDK."""
    entries = {} if _given() else profile()
    if any(entry in entries for entry in SIGN_INS):
        raise StorageError(_by_hand("is of a sign-in, which the engine sail knows, and Spark does not"))


def _given() -> list[str]:
    environ = os.environ  # not a parameter's default, which would be pickled with the function to workers
    forget_empty(environ)
    return [name for name in KEYS if environ.get(name)]


def forget_empty(environ: MutableMapping[str, str]) -> None:
    """Remove empty AWS_* variables, because delta-rs and the engines would use the empty profile or key."""
    for name in [name for name, value in environ.items() if name.startswith("AWS_") and not value]:
        del environ[name]


def profile() -> dict[str, str]:
    """The entries of the current profile; empty when it does not exist. Raises StorageError."""
    return _read(_named(), os.environ)


def _named() -> str:
    return os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"


def _read(profile: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The profile's entries; the credentials file overrides the config file."""
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


def _static(entries: Mapping[str, str]) -> S3Credential:
    return {
        "access_key_id": entries["aws_access_key_id"],
        "secret_access_key": entries.get("aws_secret_access_key", ""),
        "token": entries.get("aws_session_token"),
        "expires_at": None,
    }


def _by_command(command: str) -> S3Credential:
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise StorageError(f"credential_process of the AWS profile ended with exit code {done.returncode}.")
    answer = json.loads(done.stdout)
    expires = answer.get("Expiration")
    return {
        "access_key_id": answer["AccessKeyId"],
        "secret_access_key": answer["SecretAccessKey"],
        "token": answer.get("SessionToken"),
        "expires_at": datetime.fromisoformat(expires) if expires else _soon(),
    }


def _soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def _by_hand(why: str) -> str:
    profile = _named()
    return (
        f"AWS_PROFILE: the profile {profile!r} {why}. Put what it gives into the environment: "
        f'eval "$(aws configure export-credentials --profile {shlex.quote(profile)} --format env)", and '
        "unset AWS_PROFILE."
    )
