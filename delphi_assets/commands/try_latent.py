"""`delphi-assets try PROFILE --latent 3`: one question to the explainer and one to the judge.

Prompts and answers are shown as they are, but for what a terminal would obey.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from delphi_assets.commands.command import Command, Facts, add_profile

if TYPE_CHECKING:
    from delphi_assets.runs.trial import Trial

_OBEYED = "\N{REPLACEMENT CHARACTER}"
"""In place of what a terminal would obey."""
_KEPT = (
    "answers of an LLM, in the table completions: a run of this profile does not pay for them "
    "again. No explanation and no prediction."
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_profile(parser)
    parser.add_argument("--latent", type=int, required=True, metavar="N", help="its index")
    parser.add_argument("--hookpoint", metavar="NAME", help="hookpoint; the profile's first else")
    parser.add_argument("--scorer", metavar="NAME", help="whose judge; the profile's first else")


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.errors import SettingError
    from delphi_assets.lake.lake import Lake
    from delphi_assets.runs.trial import try_latent
    from delphi_assets.settings import load_profile

    profile = load_profile(asked.profile)
    hookpoint = asked.hookpoint or profile.cache.hookpoints[0]
    if hookpoint not in profile.cache.hookpoints:
        raise SettingError(
            f"hookpoint {hookpoint!r} is not one of the profile; expected one of "
            f"{list(profile.cache.hookpoints)}."
        )
    lake = Lake(profile.run.lake)
    tried = try_latent(profile, lake, hookpoint, asked.latent, asked.scorer)
    _show("explainer", tried.explainer)
    _show("judge", tried.judge)
    kept = _KEPT if tried.explainer.cost or tried.judge.cost else "nothing"
    yield "stored", kept


def _show(side: str, trial: "Trial") -> None:
    lines = [f"=== {side}: {trial.by} ==="]
    for message in trial.messages:
        lines += [f"--- {message.role} ---", message.content]
    if trial.answer is not None:
        lines += ["--- answer ---", trial.answer]
    lines += ["--- read as ---", trial.read]
    if (cost := trial.cost) is not None:
        money = "price not known" if cost.dollars is None else f"{cost.dollars:.6f} dollars"
        when = "paid for before, asked for nothing now" if cost.reused else "paid for now"
        tokens = f"{cost.prompt_tokens} tokens sent, {cost.completion_tokens} received"
        lines += ["--- cost ---", f"{tokens}, {money}; {when}"]
    text = "\n".join(lines)
    safe = "".join(one if one.isprintable() or one in "\n\t" else _OBEYED for one in text)
    sys.stdout.write(f"{safe}\n\n")


COMMAND = Command("try", "ask about one latent, and show all of it", _arguments, _run)
