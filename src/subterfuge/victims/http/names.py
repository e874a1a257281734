"""Names that say what they hold is a secret."""

from __future__ import annotations

import re

SECRET_WORD = re.compile(
    r"(?:api|access|account|auth|bearer|client|private|refresh|secret|session|user)*"
    r"(?:auth|authorization|authentication|bearer|key|token|secrets?|pass|password|passwd|passphrase|pwd|pw|cookies?"
    r"|cred|creds|credentials?|sig|signature|session|sessionid|jwt)"
    r"|.*(?:apikey|token|secret|password|passwd)"
)
"""Words, in small letters, that make a name one of a secret."""
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""The words of a name, between dashes and in camel case."""


def looks_secret(name: str) -> bool:
    """Say whether a name is one of a secret: by whole words, in camel case too.

    >>> [looks_secret(name) for name in ("api_key", "accessToken", "X-APIKEY", "author", "passes", "keyboard")]
    [True, True, True, False, False, False]
    """
    return any(SECRET_WORD.fullmatch(word.lower()) for word in WORDS.findall(name))
