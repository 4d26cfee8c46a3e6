"""How often do the 95% intervals of the view scores hold the true value?

    python -m benchmarks interval_coverage [--explanations 2000] [--hookpoints 300]

1. Draw the answers to many explanations whose true score is known, 20 true and 20 false windows
   each, and 50 and 50: verdicts with a given recall and specificity, of independent windows and of
   such that share a prompt, five each; answers whose distributions
   are so many standard deviations apart, unrounded or in tenths; simulated activations, of windows
   that are alike and of such in which a few strong ones carry the correlation.
2. Write them into a scratch lake, and let the view compute the intervals.
3. Tell, for each metric and case, the true value, the share of intervals that hold it, the shares
   that lie below and above it, and the mean width. Explanations without an interval count in none.

One standard error of a coverage is 0.005 with 2,000 explanations.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import stats

from benchmarks.parts.record import Measured, Numbers, in_unit, of
from delphi_assets import connect
from delphi_assets.lake.database import query
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import CONTEXTS, EXAMPLES, LATENTS, PREDICTIONS, Table

Floats = npt.NDArray[np.float64]
PLACE: dict[str, str | int] = {"run": "drawn", "hookpoint": "none"}
TOKENS = 32
SIZES = (20, 50)
_MANY = 200_000


class Drawn(NamedTuple):
    """Columns of predictions and, where activations are simulated, of examples."""

    predictions: dict[str, pa.Array]
    examples: dict[str, pa.Array]


class Case(Protocol):
    """A kind of explanations whose true scores are known."""

    def truths(self) -> dict[str, float]:
        """By metric."""

    def draw(self, rng: np.random.Generator, n_explanations: int, size: int) -> Drawn:
        """Answers to `size` true and then `size` false windows, one explanation after another."""


@dataclass(frozen=True)
class YesNo:
    """Verdicts."""

    recall: float
    specificity: float

    def truths(self) -> dict[str, float]:
        """Of as many true as false windows."""
        alarms = 1 - self.specificity
        return {
            "accuracy": (self.recall + self.specificity) / 2,
            "balanced_accuracy": (self.recall + self.specificity) / 2,
            "recall": self.recall,
            "specificity": self.specificity,
            "precision": self.recall / (self.recall + alarms),
            "f1": 2 * self.recall / (self.recall + alarms + 1),
        }

    def draw(self, rng: np.random.Generator, n_explanations: int, size: int) -> Drawn:
        """Independent verdicts."""
        yes = np.repeat([self.recall, 1 - self.specificity], size)
        said = rng.random((n_explanations, 2 * size)) < yes
        return Drawn({"prediction": pa.array(said.ravel())}, {})


@dataclass(frozen=True)
class Moody(YesNo):
    """Verdicts on windows that are asked about `in_prompt` at a time, in a shuffled order.

    What is behind a verdict is normal, and answers of a prompt are correlated by `alike`: the judge
    is now more and now less inclined to say yes, or where `careless` more and less often right.
    """

    alike: float
    careless: bool
    in_prompt: int = 5

    def draw(self, rng: np.random.Generator, n_explanations: int, size: int) -> Drawn:
        """Verdicts of the same rates as those of independent windows."""
        yes = np.repeat([self.recall, 1 - self.specificity], size)
        shape = (n_explanations, 2 * size)
        prompts = rng.permuted(
            np.tile(np.arange(2 * size) // self.in_prompt, (len(yes), 1)), axis=1
        )
        moods = rng.normal(0, 1, (n_explanations, 2 * size))
        prompt = prompts[rng.integers(0, len(prompts), n_explanations)]
        mood = np.take_along_axis(moods, prompt, axis=1)
        if self.careless:
            mood *= np.repeat([1, -1], size)
        own = rng.normal(0, 1, shape)
        behind = np.sqrt(self.alike) * mood + np.sqrt(1 - self.alike) * own
        return Drawn({"prediction": pa.array((behind < stats.norm.ppf(yes)).ravel())}, {})


@dataclass(frozen=True)
class Ranked:
    """Probabilities: normal answers, seen through the normal distribution."""

    distance: float
    in_tenths: bool

    def truths(self) -> dict[str, float]:
        """From the shares of true and of false windows at each answer; 20,000 stand for all."""
        edges = stats.norm.ppf(np.linspace(0, 1, 11 if self.in_tenths else 20_001))
        true = np.diff(stats.norm.cdf(edges - self.distance / 2))[::-1]
        false = np.diff(stats.norm.cdf(edges + self.distance / 2))[::-1]
        above, alarms = true.cumsum(), false.cumsum()
        return {
            "auroc": float(1 - (true * (alarms - false / 2)).sum()),
            "auprc": float((true * above / (above + alarms)).sum()),
        }

    def draw(self, rng: np.random.Generator, n_explanations: int, size: int) -> Drawn:
        """True answers above, false ones below."""
        middle = np.repeat([self.distance / 2, -self.distance / 2], size)
        found = stats.norm.cdf(rng.normal(middle, 1, (n_explanations, 2 * size)))
        if self.in_tenths:
            found = np.floor(found * 10) / 10
        flat = found.ravel()
        return Drawn({"prediction": pa.array(flat >= 0.5), "probability": pa.array(flat)}, {})


@dataclass(frozen=True)
class Simulated:
    """Real activations on one to three tokens of a true window, and a judge that finds some."""

    hits: float
    """Share of true windows in which the judge expects anything where the latent fires."""
    alarms: float
    """Share of windows in which it expects something on a token drawn at random."""
    spread: float
    """Standard deviation of the logarithm of a window's strength."""

    def truths(self) -> dict[str, float]:
        """From many windows."""
        real, simulated = self._windows(np.random.default_rng(7), _MANY, _MANY)
        return {"correlation": float(np.corrcoef(real.ravel(), simulated.ravel())[0, 1])}

    def draw(self, rng: np.random.Generator, n_explanations: int, size: int) -> Drawn:
        """True windows, then silent ones."""
        n = n_explanations * size
        both = (
            np.stack(
                [
                    side[:n].reshape(n_explanations, size, TOKENS),
                    side[n:].reshape(n_explanations, size, TOKENS),
                ],
                1,
            ).reshape(2 * n, TOKENS)
            for side in self._windows(rng, n, n)
        )
        real, simulated = (pa.array(list(side.astype(np.float32))) for side in both)
        return Drawn({"simulated": simulated}, {"activations": real})

    def _windows(
        self, rng: np.random.Generator, n_true: int, n_false: int
    ) -> tuple[Floats, Floats]:
        n = n_true + n_false
        real, simulated, rows = np.zeros((n, TOKENS)), np.zeros((n, TOKENS)), np.arange(n)
        strength = rng.lognormal(1, self.spread, n) * (rows < n_true)
        start, length = rng.integers(0, TOKENS - 3, n), rng.integers(1, 4, n)
        for place in range(3):
            fires = strength * rng.uniform(0.3, 1, n)
            real[rows, start + place] = np.where(length > place, fires, 0)
        told = rng.integers(4, 11, (n, 1)) * (rng.random((n, 1)) < self.hits)
        simulated += told * (real > 0)
        wrong = rng.integers(3, 11, n) * (rng.random(n) < self.alarms)
        elsewhere = rng.integers(0, TOKENS, n)
        simulated[rows, elsewhere] = np.maximum(simulated[rows, elsewhere], wrong)
        return real, simulated


CASES: dict[str, Case] = {
    "recall 0.5, specificity 0.5": YesNo(0.5, 0.5),
    "recall 0.7, specificity 0.8": YesNo(0.7, 0.8),
    "recall 0.9, specificity 0.7": YesNo(0.9, 0.7),
    "recall 0.95, specificity 0.95": YesNo(0.95, 0.95),
    "0.7, 0.8, prompts inclined (0.2)": Moody(0.7, 0.8, 0.2, careless=False),
    "0.7, 0.8, prompts careless (0.2)": Moody(0.7, 0.8, 0.2, careless=True),
    "0.7, 0.8, prompts careless (0.5)": Moody(0.7, 0.8, 0.5, careless=True),
    **{
        f"{distance} apart{', in tenths' if tenths else ''}": Ranked(distance, tenths)
        for distance in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
        for tenths in (False, True)
    },
    "most windows hit": Simulated(0.95, 0.05, 0.4),
    "half hit, some alarms": Simulated(0.5, 0.3, 0.4),
    "few hit, many alarms": Simulated(0.2, 0.5, 0.4),
    "none hit": Simulated(0.0, 0.5, 0.4),
    "most hit, strengths vary": Simulated(0.95, 0.05, 0.6),
    "most hit, few strong ones": Simulated(0.95, 0.05, 0.9),
}


class Hookpoints(NamedTuple):
    """Explanations of latents that are judged on windows of the same documents."""

    of_latents: float
    """Standard deviation of how well a latent is explained; that of a single verdict is 1."""
    of_documents: float
    """The same of how easy a document is."""
    n_latents: int = 60
    n_documents: int = 100
    accuracy: float = 0.75

    def rights(
        self, rng: np.random.Generator, documents: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Which windows [latents, windows] are judged rightly."""
        spread = np.sqrt(1 + self.of_latents**2 + self.of_documents**2)
        of_latents = rng.normal(0, self.of_latents, (self.n_latents, 1))
        of_documents = rng.normal(0, self.of_documents, self.n_documents)[documents]
        own = rng.normal(0, 1, documents.shape)
        limit = spread * stats.norm.ppf(self.accuracy)
        return np.asarray(own + of_latents + of_documents < limit)


MEANS = (Hookpoints(0.5, 0.0), Hookpoints(0.5, 0.3), Hookpoints(0.5, 0.6))


class Coverage(NamedTuple):
    """What was seen of one metric in one case."""

    metric: str
    case: str
    size: int
    """True windows, and as many false ones."""
    truth: float
    held: float
    """Share of the intervals that hold the truth."""
    below: float
    above: float
    width: float
    without: float
    """Share of explanations without an interval."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """How many are drawn."""
    parser.add_argument("--explanations", type=int, default=2000)
    parser.add_argument("--hookpoints", type=int, default=300)


def measure(given: argparse.Namespace) -> Measured:
    """All cases of all sizes."""
    numbers: Numbers = {}
    for size in SIZES:
        seen_of_size = [
            *coverages(CASES, given.explanations, size),
            *(one for kind in MEANS for one in coverages_of_means(kind, given.hookpoints, size)),
        ]
        for seen in seen_of_size:
            numbers |= of(subject(seen.metric, seen.case, size), _numbers(seen))
    return Measured(numbers)


def subject(metric: str, case: str, size: int) -> str:
    """What the numbers of a coverage are named after."""
    return f"{metric}, {case}, {size} + {size}"


def _numbers(seen: Coverage) -> Numbers:
    shares = {name: round(getattr(seen, name), 4) for name in ("held", "below", "above", "without")}
    sizes = {name: round(getattr(seen, name), 4) for name in ("truth", "width")}
    return {**in_unit("of the intervals", **shares), **in_unit("of the metric", **sizes)}


def coverages(
    cases: dict[str, Case], n_explanations: int, size: int, seed: int = 1
) -> Iterator[Coverage]:
    """The coverage of every metric in every case."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        lake.initialize()
        for name, case in cases.items():
            _write(lake, name, case.draw(rng, n_explanations, size), n_explanations, size)
        with connect(lake) as con:
            # Once for all metrics.
            con.execute("create temp table seen as select * from scores")
            for name, case in cases.items():
                for metric, truth in case.truths().items():
                    yield _covered(con, metric, name, size, truth)


def coverages_of_means(
    kind: Hookpoints, n_hookpoints: int, size: int, seed: int = 2
) -> tuple[Coverage, Coverage]:
    """The mean of balanced accuracy over latents: its interval, and one for this corpus only."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        lake.initialize()
        _write_documents(lake, kind.n_documents)
        for number in range(n_hookpoints):
            _write_hookpoint(lake, kind, rng, str(number), size)
        with connect(lake) as con:
            found = [
                row
                for number in range(n_hookpoints)
                for row in query(
                    con, "analysis/hookpoint_scores", run=PLACE["run"], hookpoint=str(number)
                ).to_pylist()
                if row["metric"] == "balanced_accuracy"
            ]
            fixed = con.sql(
                "select avg(balanced_accuracy), stddev_samp(balanced_accuracy) from scores "
                "group by hookpoint order by hookpoint::int"
            ).fetchnumpy()
    name = f"{kind.n_latents} latents, documents {kind.of_documents}"
    low, high = np.array([(row["mean_low"], row["mean_high"]) for row in found]).T
    means, deviations = fixed.values()
    half = stats.t.ppf(0.975, kind.n_latents - 1) * deviations / np.sqrt(kind.n_latents)
    return (
        _seen("mean over latents", name, size, kind.accuracy, low, high),
        _seen("corpus taken as fixed", name, size, kind.accuracy, means - half, means + half),
    )


def _write_documents(lake: Lake, n_documents: int) -> None:
    columns = {
        "context": pa.array(np.arange(n_documents)),
        "tokens": pa.array([[0] * TOKENS] * n_documents),
        "document_ids": pa.array([[str(number)] for number in range(n_documents)]),
        "document_starts": pa.array([[0]] * n_documents),
    }
    unit = Unit("contexts", {"run": PLACE["run"], "shard": 0})
    lake.publish(unit, [File(filled(CONTEXTS, n_documents, columns, {}))], config={})


def _write_hookpoint(
    lake: Lake, kind: Hookpoints, rng: np.random.Generator, hookpoint: str, size: int
) -> None:
    documents = rng.integers(0, kind.n_documents, (kind.n_latents, 2 * size))
    right = kind.rights(rng, documents).ravel()
    truth = np.tile(np.arange(2 * size) < size, kind.n_latents)
    row = {
        "latent": pa.array(np.repeat(np.arange(kind.n_latents), 2 * size)),
        "example": pa.array(np.tile(np.arange(2 * size), kind.n_latents)),
    }
    place = {**PLACE, "hookpoint": hookpoint}
    said = {**row, "truth": pa.array(truth), "prediction": pa.array(right == truth)}
    named = {
        "explanation_id": "drawn",
        "selection": "drawn",
        "scorer": "drawn",
        "judge": "drawn",
        "judge_hash": "drawn",
        "control": "none",
    }
    lake.append(PREDICTIONS, place, filled(PREDICTIONS, right.size, said, named))
    shown = {**row, "position": pa.array(documents.ravel() * TOKENS)}
    unit = Unit("examples", {**place, "selection": "drawn"})
    lake.publish(unit, [File(filled(EXAMPLES, right.size, shown, {"split": "test"}))], config={})
    firing = {
        "latent": pa.array(np.arange(kind.n_latents)),
        "n_activations": pa.array(np.ones(kind.n_latents, np.int64)),
    }
    latents = filled(LATENTS, kind.n_latents, firing, {})
    lake.publish(Unit("latents", place), [File(latents)], config={})


def _write(lake: Lake, name: str, drawn: Drawn, n_explanations: int, size: int) -> None:
    n = n_explanations * 2 * size
    latent = np.repeat(np.arange(n_explanations), 2 * size)
    example = np.tile(np.arange(2 * size), n_explanations)
    truth = example < size
    row = {"latent": pa.array(latent), "example": pa.array(example)}
    said = {
        **row,
        "explanation_id": pa.array([name]).take(pa.array(np.zeros(n, int))),
        "truth": pa.array(truth),
        **drawn.predictions,
    }
    same = {"selection": name, "scorer": "drawn", "judge": "drawn", "judge_hash": "drawn"}
    lake.append(PREDICTIONS, PLACE, filled(PREDICTIONS, n, said, {**same, "control": "none"}))
    if drawn.examples:
        shown = {**row, "activating": pa.array(truth), **drawn.examples}
        unit = Unit("examples", {**PLACE, "selection": name})
        lake.publish(unit, [File(filled(EXAMPLES, n, shown, {}))], config={})


def filled(table: Table, n: int, columns: dict[str, pa.Array], same: dict[str, str]) -> pa.Table:
    """Rows of a table; columns that are not given are null."""
    written = {"written_at": datetime(2026, 1, 1, tzinfo=UTC), "variant": "plain", **same}
    return pa.table(
        [
            columns[field.name].cast(field.type)
            if field.name in columns
            else pa.repeat(pa.scalar(written.get(field.name), field.type), n)
            for field in table.arrow
        ],
        schema=table.arrow,
    )


def _covered(
    con: duckdb.DuckDBPyConnection, metric: str, name: str, size: int, truth: float
) -> Coverage:
    # The view has the metric's columns under its name.
    found = con.table("seen").filter(
        duckdb.ColumnExpression("selection") == duckdb.ConstantExpression(name)
    )
    low, high = (
        found.select(duckdb.ColumnExpression(f"{metric}_{end}")).to_arrow_table().column(0)
        for end in ("low", "high")
    )
    return _seen(metric, name, size, truth, low.to_numpy(), high.to_numpy())


def _seen(  # noqa: PLR0917 - what the row is about, and its intervals
    metric: str, name: str, size: int, truth: float, low: Floats, high: Floats
) -> Coverage:
    known = ~np.isnan(low)
    lows, highs = low[known], high[known]
    below, above = highs < truth - 1e-12, lows > truth + 1e-12
    return Coverage(
        metric,
        name,
        size,
        truth,
        float(1 - below.mean() - above.mean()),
        float(below.mean()),
        float(above.mean()),
        float((highs - lows).mean()),
        float(1 - known.mean()),
    )
