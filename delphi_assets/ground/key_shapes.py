"""What keys of providers look like, to tell them from names of models and folders.

In: a text. Out: whether it holds a key, or the text with every key replaced by `[secret]`.
"""

import re

MASK = "[secret]"

_PREFIXES = (
    "sk pk rk hf gsk xai csk r8 ghp gho ghu ghs ghr github_pat glpat nvapi pplx fw tgp xoxb xoxp"
)

_SHAPES = (
    # A prefix, perhaps words such as "proj" or "or-v1", and many letters and digits. Bounded, so
    # that no text takes long.
    rf"\b(?:{'|'.join(_PREFIXES.split())})[-_](?:[A-Za-z0-9]{{1,12}}[-_]){{0,4}}"
    r"(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{16,}[A-Za-z0-9_-]*",
    r"\bAIza[A-Za-z0-9_-]{30,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?",
    r"\b[Bb]earer\s+[A-Za-z0-9._~+/=-]{16,}",
)

KEY = re.compile("|".join(_SHAPES))
"""A key in a text."""

_NAMED = re.compile(r"key|token$|secret|password|credential", re.IGNORECASE)


def is_named_like_a_key(name: str) -> bool:
    """Whether a setting of that name would hold a key."""
    return _NAMED.search(name) is not None


def masked(text: str) -> str:
    """`text` without keys."""
    return KEY.sub(MASK, text)
