"""How often do intervals hold the true value, on latents whose every window is known?

    python -m benchmarks planted_coverage LAKE --run planted [--latents 60] [--draws 12]

1. Of the planted latents that can be explained, those with the smallest hashes. All windows of the
   corpus are known: which of them a latent fires in, how strongly, and what a judge would say.
2. The judges answer from the window alone. One says yes where the latent's most active token is,
   one where any of its five most active ones is, and one to the stronger half of the windows in
   which it fires and to a tenth of the silent ones.
3. Windows are drawn by the run's own selection, with one seed after the other, 20 + 20 and 50 + 50.
   A judge's answers about them go into a scratch lake, and the view scores computes the intervals.
4. The truth of a draw is what the judge would get on all windows of which the draw's test windows
   were drawn: those in which the latent fires without the train windows, and all silent ones. Tell
   for each metric the share of intervals that hold it, below and above, their mean width, and by
   how much the score is off on average.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

import delphi_assets as da
from benchmarks.interval_coverage import filled
from benchmarks.parts.record import Measured, Numbers, in_unit, of
from delphi_assets import connect
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import PREDICTIONS
from delphi_assets.latent_ranges import as_text
from delphi_assets.selection.examples import choose_examples
from delphi_assets.settings import Profile
from delphi_assets.settings.run_profile import profile_of_run

HOOKPOINT = "planted"
SIZES = (20, 50)
METRICS = ("recall", "balanced_accuracy", "mass_found", "mass_explained")
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Numbered = npt.NDArray[np.int64]
"""Windows, by their number in the corpus."""

LATENTS = """
    select distinct latent
    from planted
    inner join eligibility using (run, hookpoint, latent)
    where run = $run and hookpoint = $hookpoint and code = 'eligible' and kind <> 'random'
    order by md5(latent::text)
    limit $latents
"""
LENGTH = "select len(tokens) from examples where run = $run and hookpoint = $hookpoint limit 1"
TOKENS = "select unnest(tokens) from contexts where run = $run order by context"
FIRED = """
    select position, abs(activation::double)
    from activations
    where run = $run and hookpoint = $hookpoint and latent = $latent
    order by position
"""
SEEN = """
    select latent, selection, explanation_id, columns(c -> list_contains($columns, c))
    from scores
    order by all
"""


class Known(NamedTuple):
    """All whole windows [n] of the corpus, as a latent and its judges see them."""

    mass: Floats
    """Activation summed by magnitude; 0 where it is silent."""
    said: Mapping[str, Bools]
    """Whether a judge says yes, by judge."""

    def truths(self, judge: str, train: Numbered) -> dict[str, float]:
        """By metric, without the train windows."""
        said, fires, silent = self.said[judge], self.mass > 0, self.mass == 0
        fires[train] = False
        recall, claimed = said[fires].mean(), said[silent].mean()
        found = (self.mass * said)[fires].sum() / self.mass[fires].sum()
        return {
            "recall": float(recall),
            "balanced_accuracy": float((recall + 1 - claimed) / 2),
            "mass_found": float(found),
            "mass_explained": float(found - claimed),
        }


class Seen(NamedTuple):
    """One interval and the true value."""

    judge: str
    metric: str
    score: float
    low: float
    high: float
    truth: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """The lake and its planted run, and how much is drawn."""
    parser.add_argument("lake")
    parser.add_argument("--run", default="planted")
    parser.add_argument("--latents", type=int, default=60)
    parser.add_argument("--draws", type=int, default=12)


def measure(given: argparse.Namespace) -> Measured:
    """All judges and sizes."""
    lake, place = Lake(given.lake), {"run": given.run, "hookpoint": HOOKPOINT}
    with connect(lake) as con:
        rows = con.execute(LATENTS, {**place, "latents": given.latents}).fetchall()
        [[length]] = con.execute(LENGTH, place).fetchall()
        known = dict(_known(con, place, [row[0] for row in rows], length))
    profile = profile_of_run(given.run, HOOKPOINT, lake.run_settings(given.run), lake.url)
    numbers = in_unit("latents", latents=len(known))
    for size in SIZES:
        drawn = (_selection(profile, draw, length, size) for draw in range(given.draws))
        seen = list(_seen(lake, profile, known, drawn))
        for judge in sorted({one.judge for one in seen}):
            for metric in METRICS:
                of_kind = [one for one in seen if (one.judge, one.metric) == (judge, metric)]
                numbers |= of(f"{metric}, {judge}, {size} + {size}", _numbers(of_kind))
    return Measured(numbers)


def _known(
    con: duckdb.DuckDBPyConnection, place: dict[str, str], latents: list[int], length: int
) -> Iterator[tuple[int, Known]]:
    tokens = con.execute(TOKENS, {"run": place["run"]}).fetchnumpy()["unnest(tokens)"]
    n = len(tokens) // length
    windows = tokens[: n * length].reshape(n, length)
    for latent in latents:
        position, strength = con.execute(FIRED, {**place, "latent": latent}).fetchnumpy().values()
        inside = position < n * length
        position, strength = position[inside], strength[inside]
        mass = np.bincount(position // length, strength, n).astype(np.float64)
        of_tokens = np.bincount(tokens[position], strength)
        top = np.argsort(-of_tokens, kind="stable")[:5]
        rng = np.random.default_rng(latent)
        said = {
            "its strongest token": (windows == top[0]).any(1),
            "five tokens": np.isin(windows, top).any(1),
            "the stronger half": np.where(
                mass > 0, mass >= np.median(mass[mass > 0]), rng.random(n) < 0.1
            ),
        }
        yield latent, Known(mass, said)


def _seen(
    lake: Lake,
    profile: Profile,
    known: Mapping[int, Known],
    selections: Iterable[da.SelectionSettings],
) -> Iterator[Seen]:
    truths: dict[tuple[int, str, str], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Lake(folder)
        scratch.initialize()
        for drawn in selections:
            examples = choose_examples(profile, lake, HOOKPOINT, drawn, as_text(known))
            numbers = examples["position"].to_numpy() // drawn.example_ctx_len
            _write(scratch, examples, numbers, drawn.name, known)
            for latent, train in _train(examples, numbers).items():
                for judge in known[latent].said:
                    truths[latent, drawn.name, judge] = known[latent].truths(judge, train)
        ends = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
        with connect(scratch) as con:
            rows = con.execute(SEEN, {"columns": ends}).to_arrow_table().to_pylist()
    for row in rows:
        judge = row["explanation_id"]
        for metric, truth in truths[row["latent"], row["selection"], judge].items():
            interval = row[f"{metric}_low"], row[f"{metric}_high"]
            yield Seen(judge, metric, row[metric], *interval, truth)


def _selection(profile: Profile, draw: int, length: int, size: int) -> da.SelectionSettings:
    changes = {
        "name": str(draw),
        "seed": draw,
        "example_ctx_len": length,
        "min_examples": 1,
        "max_examples": 1_000_000,
        "n_examples_train": 20,
        "n_examples_test": size,
        "n_non_activating": size,
        "n_quantiles": 5,
    }
    return profile.selection.model_copy(update=changes)


def _train(examples: pa.Table, numbers: Numbered) -> dict[int, Numbered]:
    """The train windows of each latent, by their numbers in the corpus."""
    latents = examples["latent"].to_numpy()
    shown = np.array(examples["split"]) == "train"
    return {int(latent): numbers[shown & (latents == latent)] for latent in np.unique(latents)}


def _write(
    scratch: Lake,
    examples: pa.Table,
    numbers: Numbered,
    selection: str,
    known: Mapping[int, Known],
) -> None:
    place: dict[str, str | int] = {"run": "drawn", "hookpoint": HOOKPOINT}
    unit = Unit("examples", {**place, "selection": selection})
    scratch.publish(unit, [File(examples)], config={})
    is_test = np.array(examples["split"]) == "test"
    test, numbers = examples.filter(pa.array(is_test)), numbers[is_test]
    for judge in next(iter(known.values())).said:
        said = [
            bool(known[latent].said[judge][number])
            for latent, number in zip(test["latent"].to_pylist(), numbers, strict=True)
        ]
        columns = {
            **{name: test[name] for name in ("latent", "example", "quantile")},
            "truth": test["activating"],
            "prediction": pa.array(said),
        }
        same = {
            "explanation_id": judge,
            "selection": selection,
            "scorer": "detection",
            "judge": "drawn",
            "judge_hash": "drawn",
            "control": "none",
        }
        scratch.append(PREDICTIONS, place, filled(PREDICTIONS, len(said), columns, same))


def _numbers(seen: list[Seen]) -> Numbers:
    known = [one for one in seen if one.low is not None]
    below = np.array([one.high < one.truth - 1e-9 for one in known])
    above = np.array([one.low > one.truth + 1e-9 for one in known])
    width = np.mean([one.high - one.low for one in known])
    truth = np.mean([one.truth for one in known])
    off = np.mean([one.score - one.truth for one in known])
    shares = {
        "held": round(float(1 - below.mean() - above.mean()), 4),
        "below": round(float(below.mean()), 4),
        "above": round(float(above.mean()), 4),
    }
    sizes = {
        name: round(float(value), 4)
        for name, value in (("mean truth", truth), ("off by", off), ("width", width))
    }
    return {
        **in_unit("of the intervals", **shares),
        **in_unit("of the metric", **sizes),
        **in_unit("intervals", intervals=len(known)),
    }
