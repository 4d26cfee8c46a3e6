"""Texts from elsewhere, made fit to be stored.

In: a text that a server, a file or a program gave. Out: the same as whole Unicode characters.

JSON may hold half of a pair of surrogates (`"\\ud83d"`), and Python takes such a half for a
character. No encoding does: neither Arrow nor a terminal nor an HTTP client can write it.
"""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""In place of half a character."""


def clean_text(text: str) -> str:
    """`text` with whole pairs of surrogates joined, and each half of one replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
