"""`delphi-assets calibrate PROFILE`: what the profile's judge makes of latents that are known.

What it will come to is printed before anything is asked, then a line for each way to ask.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from delphi_assets.commands.command import Command, Facts, add_profile, count
from delphi_assets.ground.columns import fact
from delphi_assets.ground.stage import Fact

if TYPE_CHECKING:
    from delphi_assets.lake.growing_tables import Row

_COLUMNS = {
    "scorer": "scorer",
    "answer": "answer",
    "n_windows_asked": "windows",
    "log_prob": "log-prob",
    "auroc": "AUROC",
    "auroc_low": "from",
    "auroc_high": "to",
    "true_above_wrong": "true above wrong",
    "bias": "bias",
    "failed_share": "failed",
    "strong_agreement": "as strong LLM",
    "strong_auroc": "its AUROC",
}
"""Columns of the table judges that are printed, with their headings."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_profile(parser)
    parser.add_argument(
        "--planted", default="planted", metavar="NAME",
        help="planted run on the profile's contexts, made where it is not there; else planted",
    )  # fmt: skip
    parser.add_argument(
        "--scorers", nargs="+", default=(), metavar="NAME",
        help="detection, fuzz; else those of the profile among them",
    )  # fmt: skip
    parser.add_argument(
        "--tokens", type=count, metavar="N",
        help="prompt tokens that a judge may read anew, one that it writes counted as ten; else "
        "150,000: a quarter of an hour at 170 a second",
    )  # fmt: skip
    parser.add_argument(
        "--estimate", action="store_true", help="say what it comes to, and ask nothing"
    )


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.lake.lake import Lake
    from delphi_assets.runs.calibration.calibrate import calibrate, prepare
    from delphi_assets.runs.calibration.plan import TOKENS
    from delphi_assets.settings import load_profile

    profile = load_profile(asked.profile)
    prepared = prepare(
        profile, Lake(profile.run.lake), asked.planted, asked.scorers, asked.tokens or TOKENS
    )
    chosen, costs = prepared.plan, prepared.estimate
    told: list[tuple[str, Fact]] = [
        ("planted_latents", len(chosen.latents)),
        ("latents_of_strong_llm", len(chosen.strong)),
        ("tokens_read_anew", round(chosen.tokens)),
    ]
    told += [one for one in costs.facts() if one[0] not in ("stage", "latents", "sampled")]
    if asked.estimate:
        return told
    for name, value in told:
        sys.stdout.write(f"{fact(name, value, sys.stdout.isatty())}\n")
    sys.stdout.flush()
    cards = calibrate(prepared)
    sys.stdout.write(f"{_table(cards)}\n")
    return [(f"best_for_{one['scorer']}", _told(one)) for one in cards if one["best"]]


def _table(cards: "Sequence[Row]") -> str:
    from delphi_assets.runs.summary import grid

    heading = [*_COLUMNS.values(), "tokens a window", "seconds a window"]
    return grid(heading, [[*(one[name] for name in _COLUMNS), *_a_window(one)] for one in cards])


def _a_window(one: "Row") -> list[float]:
    """Tokens and seconds."""
    n = int(str(one["n_answers"]))
    tokens = sum(int(str(one[name] or 0)) for name in ("prompt_tokens", "completion_tokens"))
    return [tokens / n, float(str(one["seconds"] or 0)) / n]


def _told(one: "Row") -> str:
    if one["answer"] == "first_token":
        return 'answer = "first_token"'
    size = f"num_examples_per_scorer_prompt = {one['n_windows_asked']}"
    return f'answer = "list", {size}, log_prob = {str(one["log_prob"]).lower()}'


COMMAND = Command("calibrate", "ask the judge about latents that are known", _arguments, _run)
