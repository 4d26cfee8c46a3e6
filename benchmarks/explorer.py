"""The latent explorer at size: seconds and bytes to write it, milliseconds until it is read.

    python -m benchmarks explorer --latents 100000

1. Write a lake of made-up latents: statistics, an explanation of `EXPLANATION` words each, and
   answers of two scorers on `ANSWERS` windows, with a shuffled floor; windows for the first few.
2. Write its explorer.
3. In headless Chromium, from disk and from a web server on this machine: how long from opening the
   address to the first rows of the list, then until a search, an order, and a latent are shown.
   Each time in a browser context of its own, so that nothing is cached; the median is told.

A search waits `60 ms` for more typing, which is in its time.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
from playwright.sync_api import Browser

from benchmarks.parts.record import Measured, Numbers, in_unit, of
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import EXAMPLES, EXPLANATIONS, LATENTS, PREDICTIONS, Table
from tests.parts.chromium import open_chromium, served, watched

EXPLANATION, ANSWERS, WINDOW = 25, 8, 32
PLACE: dict[str, str | int] = {"run": "many", "hookpoint": "layers.0"}
WORDS = (
    "fires on the token of a word in Python code that names an error when it is raised by "
    "parsing numbers dates strings lists after commas or before brackets at line ends"
)
REPEATS = 5

STATEMENTS = {
    LATENTS: """
        select
            latent,
            if(latent % 50 = 0, 0, 10 + (hash(latent) % 100000)::bigint) as n_activations,
            n_activations / 1e7 as token_density,
            0.1 as min_activation,
            1 + (hash(latent, 1) % 1000) / 50 as max_activation,
            [' t' || (hash(latent, place) % 5000) for place in range(10)] as top_tokens,
            [0.5 / (place + 1) for place in range(10)] as top_token_shares,
            if(n_activations = 0, 'dead', null) as reason
        from (select unnest(range($n_latents)) as latent)
    """,
    EXPLANATIONS: """
        select
            'e' || latent as explanation_id,
            latent,
            'default' as selection,
            'default' as explainer,
            'made/up' as explainer_model,
            array_to_string(
                [
                    $words[(1 + hash(latent, place) % len($words))::int]
                    for place in range($n_words)
                ],
                ' '
            ) as explanation
        from (select unnest(range($n_latents)) as latent)
        where latent % 50 > 0
    """,
    PREDICTIONS: """
        select
            'e' || if(control = 'none', latent, (latent + 1) % $n_latents) as explanation_id,
            latent,
            'default' as selection,
            scorer,
            'made/up' as judge,
            'asked' as judge_hash,
            control,
            example,
            'plain' as variant,
            example % 2 = 0 as truth,
            (hash(latent, scorer, control, example) % 100) / 99 as drawn,
            if(control = 'none' and drawn < 0.5, truth, drawn < 0.5) as prediction
        from (select unnest(range($n_latents)) as latent)
        cross join (select unnest(['detection', 'fuzz']) as scorer)
        cross join (select unnest(['none', 'shuffled']) as control)
        cross join (select unnest(range($n_answers)) as example)
        where latent % 50 > 0
        order by latent
    """,
    EXAMPLES: """
        select
            latent,
            example,
            example % 2 = 0 as activating,
            'test' as split,
            'quantiles' as source,
            if(activating, 0, null) as quantile,
            $window * (hash(latent, example) % 10000000)::bigint as position,
            range($window) as tokens,
            [' t' || (hash(latent, example, place) % 5000) for place in range($window)]
                as str_tokens,
            [if(activating and place = 7, 1.5, 0) for place in range($window)] as activations,
            [if(activating and place = 7, 6, 0) for place in range($window)] as normalized,
            if(activating, 1.5, 0) as max_activation
        from (select unnest(range($n_shown)) as latent)
        cross join (select unnest(range($n_answers)) as example)
    """,
}

FIRST_ROW = """() => new Promise((resolve) => {
  const look = () => document.querySelector("#latents tbody tr")
    ? resolve(performance.now()) : requestAnimationFrame(look);
  look();
})"""
SHOWN_AFTER = """([act, wanted]) => new Promise((resolve) => {
  const start = performance.now();
  const before = document.documentElement.dataset.drawn;
  const look = () => document.documentElement.dataset.drawn !== before
    ? requestAnimationFrame(() => resolve(performance.now() - start)) : requestAnimationFrame(look);
  const acts = {
    search: () => {
      const input = document.getElementById("search");
      input.value = wanted;
      input.dispatchEvent(new Event("input"));
    },
    click: () => document.querySelector(wanted).click(),
  };
  acts[act]();
  look();
})"""


MATCHED = """async (text) => {
  const [place] = await explorer.data.places();
  const start = performance.now();
  await explorer.list.around(place, new URLSearchParams({ q: text }), 1);
  return performance.now() - start;
}"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """How many latents."""
    parser.add_argument("--latents", type=int, default=100_000)
    parser.add_argument("--with-windows", type=int, default=1_000, help="latents that have windows")


def measure(given: argparse.Namespace) -> Measured:
    """Write a lake and its site, and look at that."""
    with tempfile.TemporaryDirectory() as folder:
        lake, site = Lake(f"{folder}/lake"), Path(folder, "site")
        _write_lake(lake, given.latents, given.with_windows)
        said = _write_site(folder, site)
        with open_chromium() as browser:
            said |= of("from disk", _milliseconds(browser, site.as_uri() + "/"))
            with served(site) as address:
                said |= of("from a server", _milliseconds(browser, address))
    return Measured(said)


def _write_lake(lake: Lake, n_latents: int, n_shown: int) -> None:
    lake.initialize()
    numbers = {
        "n_latents": n_latents,
        "n_shown": n_shown,
        "n_answers": ANSWERS,
        "n_words": EXPLANATION,
        "window": WINDOW,
        "words": WORDS.split(),
    }
    with duckdb.connect() as con:
        for table, statement in STATEMENTS.items():
            used = {name: value for name, value in numbers.items() if f"${name}" in statement}
            rows = con.sql(statement, params=used).to_arrow_table()
            names = {key.name for key in table.keys}
            keys = {name: value for name, value in _keys().items() if name in names}
            lake.append(table, keys, _full(table, rows))


def _keys() -> dict[str, str | int]:
    return {**PLACE, "selection": "default"}


def _write_site(folder: str, site: Path) -> Numbers:
    """Write the site in a process of its own, so that its peak of memory is known."""
    command = str(Path(sys.executable).with_name("delphi-assets"))
    arguments = ["report", f"{folder}/lake", "-o", str(site)]
    ended = subprocess.run([command, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    told = dict(line.split(": ") for line in ended.stdout.splitlines())
    latents = int(told["pages"])
    return {
        **in_unit("s", writing=float(told["seconds"])),
        **in_unit("MiB", peak=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024),
        **in_unit("files", files=int(told["files"])),
        **in_unit(
            "bytes",
            a_latent=round(int(told["bytes"]) / latents),
            of_the_list_a_latent=round(_bytes_of_list(site) / latents),
        ),
    }


def _full(table: Table, rows: pa.Table) -> pa.Table:
    """`rows` with all columns of the table, null where the statement has none."""
    columns = [
        rows[name] if name in rows.column_names else pa.nulls(rows.num_rows)
        for name in table.arrow.names
    ]
    return table.conform(pa.table(columns, names=table.arrow.names))


def _bytes_of_list(site: Path) -> int:
    kinds = ("numbers", "tokens", "texts")
    paths = [path for kind in kinds for path in site.glob(f"data/*/*/*/{kind}/**/*.js")]
    return sum(path.stat().st_size for path in paths)


def _milliseconds(browser: Browser, base: str) -> Numbers:
    found: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        for name, value in _visit(browser, base).items():
            found.setdefault(name, []).append(value)
    medians = {name: round(statistics.median(values)) for name, values in found.items()}
    return in_unit("ms", **medians)


def _visit(browser: Browser, base: str) -> dict[str, float]:
    with watched(browser) as seen:
        page = seen.page
        page.goto(f"{base}index.html#/many/layers.0/latents", wait_until="commit")
        first = page.evaluate(FIRST_ROW)
        # The rest of the texts is loaded behind the first page; the first search may wait for it.
        search = [
            page.evaluate(SHOWN_AFTER, ["search", text]) for text in ("brackets error", "error")
        ]
        matched = page.evaluate(MATCHED, "brackets number")
        order = page.evaluate(SHOWN_AFTER, ["click", "#sort-detection"])
        latent = page.evaluate(SHOWN_AFTER, ["click", "#latents tbody a"])
        if seen.complaints:
            raise RuntimeError(f"the page complained: {seen.complaints}")
    return {
        "first_table": first,
        "first_search": search[0],
        "search": search[1],
        "search_without_drawing": matched,
        "order": order,
        "latent": latent,
    }
