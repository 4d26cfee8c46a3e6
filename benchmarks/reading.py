"""Reading all activations of one latent, as a user does: a query on the view `activations`.

    python -m benchmarks reading LAKE --run RUN --hookpoint layers.3.mlp

1. Draw latents that fire, by a hash of their number.
2. On a new connection, query each once: its positions and activations, as an Arrow table.
3. Tell the latencies in milliseconds, and how many rows a latent has. The first query is told
   apart, as it opens the files; they may be in the system's cache.
"""

import argparse
import statistics
import time

from benchmarks.parts.record import Measured, in_unit
from delphi_assets import connect

TOTAL = "select count(*) from activations where run = $run and hookpoint = $hookpoint"
LATENTS = """
    select latent
    from activations
    where run = $run and hookpoint = $hookpoint
    group by latent
    order by hash(latent)
    limit $n
"""
ONE = """
    select position, activation
    from activations
    where run = $run and hookpoint = $hookpoint and latent = $latent
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The lake, and how many latents."""
    parser.add_argument("lake")
    parser.add_argument("--run", required=True)
    parser.add_argument("--hookpoint", required=True)
    parser.add_argument("--latents", type=int, default=100)


def measure(given: argparse.Namespace) -> Measured:
    """Query each latent."""
    place = {"run": given.run, "hookpoint": given.hookpoint}
    milliseconds, rows = [], []
    with connect(given.lake) as con:
        (total,) = con.execute(TOTAL, place).fetchall()[0]
        drawn = con.execute(LATENTS, {**place, "n": given.latents}).fetchall()
    with connect(given.lake) as con:
        for (latent,) in drawn:
            start = time.perf_counter()
            found = con.sql(ONE, params={**place, "latent": latent}).to_arrow_table()
            milliseconds.append(1000 * (time.perf_counter() - start))
            rows.append(found.num_rows)
    return Measured(
        {
            **in_unit("activations", activations=total),
            **in_unit("latents", latents=len(drawn)),
            **in_unit("rows", median_of_a_latent=statistics.median(rows)),
            **in_unit(
                "ms",
                first=round(milliseconds[0], 1),
                median=round(statistics.median(milliseconds), 1),
                ninth_decile=round(statistics.quantiles(milliseconds, n=10)[-1], 1),
                most=round(max(milliseconds), 1),
            ),
        }
    )
