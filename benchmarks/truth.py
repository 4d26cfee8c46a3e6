"""What do scorers, metrics and explainers get right on latents whose description is known?

    python -m benchmarks truth [--lake LAKE]
    python -m benchmarks truth --lake LAKE --judge MODEL [--latents 40]
    python -m benchmarks truth --lake LAKE --explainer-model MODEL [--latents 40]

1. A run with planted latents is made in the lake, where it is not there; without a lake, in a
   folder that is deleted (`truth_lake`).
2. Scorers without a key judge true and wrong descriptions: `embedding` of 60 latents, `surprisal`
   and `simulation` of 13, one of each kind, on 10 + 10 windows (`truth_scorers`).
3. The lexical judge, which reads notations only, judges those of a latent and of its relatives
   (`truth_lexical`).
4. Every metric is asked whether it notices that half of a description is gone or made up
   (`truth_metrics`).
5. The lexical explainer is asked to find each latent from 10, 20 and 40 windows, and from those of
   other samplers (`truth_explainers`).

With `--judge`, a LiteLLM model or `local/...`, it judges instead: detection and fuzz, one window a
question, true and four wrong descriptions. With `--explainer-model` that LLM explains. Both say
first how long it will take, and go on where they were stopped: answers are in the lake. `--parts`
names some of the parts.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.parts import (
    truth_explainers,
    truth_lexical,
    truth_metrics,
    truth_scorers,
)
from benchmarks.parts.record import Measured, Number, Numbers
from benchmarks.parts.truth_lake import Planted, planted_lake
from benchmarks.parts.truth_scorers import FOUR, Asked

Row = dict[str, Any]
Part = Callable[[Planted, argparse.Namespace], list[Row]]

WINDOWS = 10
TOKENS_OF_A_QUESTION = 90
"""Of a judge that keeps what questions have in common: a window, its marks and what follows."""
TOKENS_OF_AN_EXPLANATION = 1_900
"""Of a prompt with 20 windows and their activations, and what is written, which is slower."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The lake and its planted run, and who judges or explains how many."""
    parser.add_argument("--lake")
    parser.add_argument("--run", default="planted")
    parser.add_argument("--profile", default="demo", help="whose text is planted on")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--judge")
    parser.add_argument("--explainer-model")
    parser.add_argument("--latents", type=int, help="60, or 40 of an LLM")
    parser.add_argument("--slow-latents", type=int, default=13, help="of surprisal and simulation")
    parser.add_argument("--tokens-per-second", type=float, default=170, help="of the LLM")


def measure(given: argparse.Namespace) -> Measured:
    """Run the parts, or ask an LLM."""
    asks_llm = given.judge or given.explainer_model
    if given.latents is None:
        given.latents = 40 if asks_llm else 60
    if asks_llm and given.lake is None:
        raise SystemExit("an LLM's answers are kept in a lake; expected --lake FOLDER")
    if given.lake is not None:
        return _measured(given.lake, given)
    with tempfile.TemporaryDirectory() as folder:
        return _measured(folder, given)


def _measured(lake: str, given: argparse.Namespace) -> Measured:
    rows: dict[str, list[Row]] = {}
    seconds: dict[str, Number] = {}
    parts = _asked_of_llm(given) or {name: PARTS[name] for name in given.parts}
    started, used = time.monotonic(), time.process_time()
    planted = planted_lake(lake, given.run, given.profile)
    for name, part in {"lake": _nothing, **parts}.items():
        rows[name] = part(planted, given)
        now, spent = time.monotonic(), time.process_time()
        seconds |= {
            f"{name}: seconds": Number(round(now - started, 1), "s"),
            f"{name}: processor": Number(round(spent - used, 1), "s of a core"),
        }
        sys.stderr.write(f"{name}: {now - started:.0f} s\n")
        started, used = now, spent
    rows.pop("lake")
    return Measured(_numbers(rows) | seconds, shown={name: of for name, of in rows.items() if of})


def _nothing(planted: Planted, given: argparse.Namespace) -> list[Row]:
    return []


def _scorer(name: str, slow: bool) -> Part:
    def judged(planted: Planted, given: argparse.Namespace) -> list[Row]:
        latents = given.slow_latents if slow else given.latents
        asked = Asked((name,), latents, WINDOWS, {"scorer_model": "lexical"})
        return _judged(planted, asked)

    return judged


def _judged(planted: Planted, asked: Asked) -> list[Row]:
    above = truth_scorers.judge(planted, asked)
    return _kept(above) + truth_scorers.own_scores(planted, asked)


def _lexical(planted: Planted, given: argparse.Namespace) -> list[Row]:
    return _kept(truth_lexical.judge(planted, given.latents))


def _metrics(planted: Planted, given: argparse.Namespace) -> list[Row]:
    return [one._asdict() | {"passes": one.passes} for one in truth_metrics.sanity(planted)]


def _explainers(planted: Planted, given: argparse.Namespace) -> list[Row]:
    return truth_explainers.lexical_recovered(planted)


def _texts(planted: Planted, given: argparse.Namespace) -> list[Row]:
    return truth_explainers.texts_matched(planted)


PARTS: dict[str, Part] = {
    "metrics": _metrics,
    "texts": _texts,
    "lexical": _lexical,
    "explainers": _explainers,
    "embedding": _scorer("embedding", slow=False),
    "simulation": _scorer("simulation", slow=True),
    "surprisal": _scorer("surprisal", slow=True),
}
"""Those without an LLM, the quick ones first."""


def _asked_of_llm(given: argparse.Namespace) -> dict[str, Part]:
    """What an LLM is asked; says how long that takes."""
    parts: dict[str, Part] = {}
    if judge := given.judge:
        questions = given.latents * (1 + len(FOUR) + 1) * 2 * 2 * WINDOWS
        _say_hours(judge, questions, TOKENS_OF_A_QUESTION, given)
        settings = {"scorer_model": judge, "answer": "first_token"}
        asked = Asked(("detection", "fuzz"), given.latents, WINDOWS, settings, FOUR)
        parts["judge"] = lambda planted, _: _judged(planted, asked)
    if model := given.explainer_model:
        prompts = given.latents * len(truth_explainers.VARIANTS) * 2
        _say_hours(model, prompts, TOKENS_OF_AN_EXPLANATION, given)
        parts["explainer"] = lambda planted, _: truth_explainers.llm_recovered(
            planted, model, given.latents
        )
    return parts


def _say_hours(model: str, questions: int, tokens: int, given: argparse.Namespace) -> None:
    hours = questions * tokens / given.tokens_per_second / 3_600
    sys.stderr.write(
        f"{model}: up to {questions:,} questions of about {tokens} tokens, at "
        f"{given.tokens_per_second:g} tokens/s {hours:.1f} hours; what is answered already takes "
        "none\n"
    )


def _kept(rows: Iterable[Row]) -> list[Row]:
    """Rows of a comparison as the record keeps them."""
    names = ("scorer", "judge", "relation", "kind", "n_latents", "share", "share_low", "share_high")
    return [
        {name: row.get(name) for name in (*names, "higher_by", "own") if name in row}
        for row in rows
    ]


def _numbers(rows: dict[str, list[Row]]) -> Numbers:
    """Shares over all kinds; the rest is shown."""
    found: Numbers = {}
    for row in (one for part in rows.values() for one in part):
        if row.get("relation") and row["kind"] is None:
            subject = f"{row['scorer']}, {row['judge']}: true above {row['relation']}"
            found[subject] = Number(round(row["share"], 3), f"of {row['n_latents']} latents")
        if row.get("group") == "all":
            named = [str(row[name]) for name in _NAMING if name in row]
            named += ["bare"] * (row.get("activations") is False)
            share = Number(round(row["recovered"], 3), f"of {row['latents']} latents")
            found[f"recovered: {', '.join(named)}"] = share
        if "falls" in row:
            subject = f"{row['metric']}, {row['design']}: falls, {row['test']}"
            found[subject] = Number(round(row["falls"], 3), f"of {row['latents']} latents")
    return found


_NAMING = ("test", "text", "explainer", "sampler", "windows")
