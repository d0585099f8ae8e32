"""Profiles that stand for another role or for a sign-in: botocore turns them into credentials.

delta-rs and the engines do so by themselves; our own client knows keys and commands alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from runtime.errors import StorageError
from runtime.s3.config import ANY_REGION

if TYPE_CHECKING:
    from obstore.store import S3Credential

# Entries that go before the keys of the same profile: those may be what the role is asked for with.
SIGN_INS = ("sso_session", "sso_start_url")
ENTRIES = ("role_arn", *SIGN_INS)
FILES = ("HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
# botocore renews what has less than 15 minutes left; the client asks again 5 minutes before what it is told.
ASKED_AGAIN = timedelta(minutes=10)


class _Kept(dict[tuple[str | None, ...], Any]):
    """Credentials by what decides them: asking for a role takes a request. Workers, to whom this module
    travels, begin with none; so does what Sail unpickles in this process, which costs a request more."""

    def __reduce__(self) -> tuple[type[_Kept], tuple[()]]:
        return _Kept, ()


_kept = _Kept()


def assumes(found: Mapping[str, str]) -> bool:
    """Whether a profile's entries are for botocore."""
    return any(entry in found for entry in ENTRIES)


def assumed(profile: str) -> Callable[[], S3Credential]:
    """What gives a profile's credentials, renewed when they are about to expire.

    Raises StorageError where they are refused, and where botocore is not installed.
    """
    try:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import Session
    except ImportError:
        raise StorageError(
            f"AWS_PROFILE: the profile {profile!r} is of another role or a sign-in, which needs the package "
            "botocore, and it is not installed: pip install 'sparkify-lakehouse[aws]'"
        ) from None
    of = (profile, *(os.environ.get(name) for name in FILES))

    def ask() -> S3Credential:
        try:
            found = _kept.get(of) or _resolver(Session(profile=profile)).get_credentials()
            if found is None:
                raise StorageError(f"AWS_PROFILE: the profile {profile!r} gives no credentials.")
            keys = found.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            said = f"AWS_PROFILE: the profile {profile!r} gives no credentials: {error}"
            raise StorageError(said) from None
        _kept[of] = found
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": datetime.now(UTC) + ASKED_AGAIN,
        }

    ask()
    return ask


def _resolver(session: Any) -> Any:
    """The session with a region, which STS must be asked in."""
    if session.get_config_variable("region") is None:
        session.set_config_variable("region", ANY_REGION)
    return session
