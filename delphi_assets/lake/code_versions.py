"""Which version of the code makes the rows of each table of manifests.

Raise a number with a change after which the same settings and inputs give other rows. What is there
then is of the version before: tables that cost nothing are written again by their stage, the others
when somebody says so (docs/compatibility.md).
"""

CODE_VERSIONS = {
    "contexts": 1,
    "vocabulary": 1,
    "weights": 1,
    "captured": 3,
    "activations": 2,
    "neighbours": 1,
    "latents": 2,
    "windows": 1,
    "embeddings": 1,
    "examples": 2,
    "shortfalls": 2,
    "eligibility": 1,
    "kept_scores": 1,
    "planted": 1,
}
"""Of today."""

_UNSAID = {"captured": 3, "activations": 2, "latents": 2, "examples": 2, "shortfalls": 2}


def unsaid(table: str) -> int:
    """Of rows whose manifest says none: what it was when manifests began to."""
    return _UNSAID.get(table, 1)
