"""Scores that are computed once, for all statements that follow on a connection.

In: a connection (`database.connect`), a hookpoint, and the latents whose scores are wanted. Out:
temporary tables of the connection that hide the view `kept_scores` and the macro
`document_influences`, each of which may else read every answer whenever a statement names it.

1. Scores are computed a range of latents at a time, so that what DuckDB holds of answers does not
   grow with the coder; it spills what is kept.
2. Influences are of all latents of the hookpoint.
"""

from collections.abc import Iterable, Sequence

import duckdb

from delphi_assets.lake.database import execute

_END = 2**31 - 1
"""Above every latent."""


def keep_scores(
    con: duckdb.DuckDBPyConnection,
    run: str,
    hookpoint: str,
    parts: Iterable[Sequence[int]] | None = None,
) -> None:
    """Let statements on `con` find the scores of a hookpoint in a table, and no others.

    `parts` are the latents whose scores are kept, a range after the other, each in order; None is
    all of the hookpoint at once.
    """
    execute(con, "kept/scores_here")
    place = {"run": run, "hookpoint": hookpoint}
    if parts is None:
        execute(con, "kept/scores_of", **place, latents=None, first=0, last=_END)
        return
    for latents in parts:
        ends = {"first": latents[0], "last": latents[-1] + 1}
        execute(con, "kept/scores_of", **place, latents=list(latents), **ends)


def keep_influences(con: duckdb.DuckDBPyConnection, run: str, hookpoint: str) -> None:
    """Let statements on `con` find the influences of documents on a hookpoint in a table."""
    execute(con, "kept/influences_of", run=run, hookpoint=hookpoint)
    execute(con, "kept/influences")
