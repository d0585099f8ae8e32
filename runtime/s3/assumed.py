"""Credentials of profiles that assume a role or use a sign-in, from botocore.

delta-rs and the engines resolve such profiles themselves; our own client supports only keys and commands.
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

# These entries take precedence over keys of the same profile, which may be the keys to assume the role with.
SIGN_INS = ("sso_session", "sso_start_url")
ENTRIES = ("role_arn", *SIGN_INS)
FILES = ("HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
# botocore renews credentials with less than 15 minutes left; the client renews 5 minutes before expiry.
ASKED_AGAIN = timedelta(minutes=10)


class _Kept(dict[tuple[str | None, ...], Any]):
    """A cache of credentials by profile and AWS files, since assuming a role costs a request.

    It pickles as empty, so that no credential reaches a worker. The copy that Sail unpickles in this
    process is empty too, which costs one more request.
    """

    def __reduce__(self) -> tuple[type[_Kept], tuple[()]]:
        return _Kept, ()


_kept = _Kept()


def assumes(found: Mapping[str, str]) -> bool:
    """Whether a profile's entries need botocore."""
    return any(entry in found for entry in ENTRIES)


def assumed(profile: str) -> Callable[[], S3Credential]:
    """A provider of a profile's credentials, which renews them before they expire.

    Raises StorageError when they are refused, or when botocore is not installed.
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

    def provide() -> S3Credential:
        try:
            credentials = _kept.get(of) or _resolver(Session(profile=profile)).get_credentials()
            if credentials is None:
                raise StorageError(f"AWS_PROFILE: the profile {profile!r} gives no credentials.")
            keys = credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            message = f"AWS_PROFILE: the profile {profile!r} gives no credentials: {error}"
            raise StorageError(message) from None
        _kept[of] = credentials
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": datetime.now(UTC) + ASKED_AGAIN,
        }

    provide()
    return provide


def _resolver(session: Any) -> Any:
    """Set the session's region if it has none, because STS needs one."""
    if session.get_config_variable("region") is None:
        session.set_config_variable("region", ANY_REGION)
    return session
