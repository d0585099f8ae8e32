"""Recognise values that look like secrets, which conf files and command lines must not contain."""

import re
from collections.abc import Iterator, Mapping

# Keys are compared without separators, so access_key, access.key and accessKey are equal.
_SECRET_KEY = re.compile(r"secret|password|passwd|token|credential|accesskey|privatekey")
_IN_ADDRESS = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@|(\bpassword=)[^&\s]+", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"(AKIA|ASIA)[0-9A-Z]{16}|-----BEGIN|://[^/\s:@]*:[^/\s@]+@")

ADVICE = (
    "looks like a secret, and none may stand here: leave it to the standard credential chain "
    "(AWS_* environment variables, ~/.aws, an instance role)"
)


def looks_secret(key: str, value: object) -> bool:
    """Whether the key's name or any part of the value looks like a credential."""
    if isinstance(value, Mapping):
        return any(looks_secret(f"{key}.{inner}", item) for inner, item in value.items())
    return _names_a_secret(key) or holds_secret(value)


def holds_secret(value: object) -> bool:
    """Whether the value itself looks like a credential."""
    return _SECRET_VALUE.search(str(value)) is not None


def secret_comments(text: str) -> Iterator[int]:
    """The 1-based numbers of lines whose comment looks like a credential."""
    for number, line in enumerate(text.splitlines(), start=1):
        if holds_secret(line.partition("#")[2]):
            yield number


def without_passwords(text: str) -> str:
    """The text with the passwords of addresses masked."""
    return _IN_ADDRESS.sub(lambda m: f"{m[1] or m[2]}***{'@' if m[1] else ''}", text)


def _names_a_secret(key: str) -> bool:
    # fs.s3a.aws.credentials.provider is a class name that selects the credential chain, not a secret.
    if key.lower().endswith("credentials.provider"):
        return False
    return _SECRET_KEY.search(re.sub(r"[^a-z0-9]", "", key.lower())) is not None


def shown(value: object) -> str:
    """The value for an error message: at most 120 characters, and never a credential."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if holds_secret(value):
        return "a value not shown here"
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
