"""Reading all activations of one latent, as a user does: a query on the view `activations`.

    python -m benchmarks.reading LAKE --run RUN --hookpoint layers.3.mlp

1. Draw latents that fire, by a hash of their number.
2. On a new connection, query each once: its positions and activations, as an Arrow table.
3. Print the latencies in milliseconds, and how many rows a latent has. The first query is told
   apart, as it opens the files; they may be in the system's cache.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence

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


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("lake")
    parser.add_argument("--run", required=True)
    parser.add_argument("--hookpoint", required=True)
    parser.add_argument("--latents", type=int, default=100)
    given = parser.parse_args(arguments)
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
    said = {
        "activations": total,
        "latents": len(drawn),
        "rows_median": statistics.median(rows),
        "ms_first": round(milliseconds[0], 1),
        "ms_median": round(statistics.median(milliseconds), 1),
        "ms_90": round(statistics.quantiles(milliseconds, n=10)[-1], 1),
        "ms_max": round(max(milliseconds), 1),
    }
    json.dump(said, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
