"""`delphi-assets run PROFILE`: every stage of a profile, then what came out.

1. Choose the profile and the runner (`runs.running`).
2. Run one step after the other. A stage does only what is missing, so running again continues, or
   finds everything there.
3. Print wall times, the summary of the tables, and what to try next.
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Collection, Mapping

from delphi_assets.commands.command import Command, Facts, add_profile
from delphi_assets.errors import DelphiAssetsError
from delphi_assets.runs.order import ASKING, REBUILT, STAGES, Outcome, Stage, Step, steps
from delphi_assets.runs.running import LIBRARY, Runner, runner


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_profile(parser)
    parser.add_argument(
        "--until", choices=STAGES, default=STAGES[-1], metavar="STAGE",
        help=f"last stage to run: {', '.join(STAGES[:-1])} or {STAGES[-1]} (the default)",
    )  # fmt: skip
    parser.add_argument(
        "--rebuild", choices=REBUILT, action="append", default=[], metavar="STAGE",
        help="write a stage again where its code or what it is made from has changed: "
        f"{', '.join(REBUILT[:-1])} or {REBUILT[-1]}; may be given several times. captured takes "
        "a forward pass",
    )  # fmt: skip
    parser.add_argument(
        "--runner",
        metavar="NAME",
        help=f"{LIBRARY}, which keeps no history, or dagster, which is taken where it is installed",
    )


def _run(asked: argparse.Namespace) -> Facts:
    run_profile(asked.profile, runner(asked.runner), asked.until, asked.rebuild)
    return ()


def run_profile(
    name: str | None, runs: Runner, until: Stage = STAGES[-1], rebuild: Collection[Stage] = ()
) -> None:
    """Run the stages of a profile and print what is said of them.

    Raises `DelphiAssetsError` for the first stage that fails, or when checks of the data do.
    """
    from delphi_assets.lake.lake import Lake
    from delphi_assets.lake.place import RunPlace
    from delphi_assets.runs import summary
    from delphi_assets.settings import load_profile, profile_path

    file, profile = profile_path(name), load_profile(name)
    if profile.asks_llm and STAGES.index(until) >= ASKING:
        from delphi_assets.llm.asking.keys import check_keys

        check_keys(profile)
    # A runner may silence the console; warnings of the library are for whoever started it.
    warnings = logging.StreamHandler()
    logging.getLogger("delphi_assets").addHandler(warnings)
    started, lake = time.perf_counter(), Lake(profile.run.lake)
    outcomes: dict[Step, Outcome] = {}
    try:
        with runs(file, profile, lake) as opened:
            _say(f"run {profile.run.name!r} in lake {lake.location('')}, {opened.told}\n")
            for step in steps(profile, until, rebuild):
                _say(f"{step.label} ...")
                outcomes[step] = _outcome(opened.run, step)
                _say(summary.stage_line(outcomes[step]))
    finally:
        logging.getLogger("delphi_assets").removeHandler(warnings)
    new_rows = sum(outcome.new_rows for outcome in outcomes.values())
    there = "" if new_rows else ": everything was there already"
    _say(f"\n{new_rows:,} new rows in {time.perf_counter() - started:.0f} s{there}")
    if until == STAGES[-1]:
        place, coders = RunPlace(profile, lake), _of_coders(outcomes)
        for hookpoint in profile.cache.hookpoints:
            _say(summary.of_hookpoint(place.at(hookpoint), coders[hookpoint]))
        _say(summary.what_next(place, file))
    broken = [f"{step.label}: {one}" for step, out in outcomes.items() for one in out.failed_checks]
    if broken:
        raise DelphiAssetsError(
            f"asset checks failed: {', '.join(broken)} (make ui shows the rows)."
        )


def _outcome(run: Callable[[Step], Outcome], step: Step) -> Outcome:
    again = "What was finished is kept: run it again to continue."
    try:
        outcome = run(step)
    except DelphiAssetsError as error:
        raise type(error)(f"{step.label} failed: {error} {again}") from error
    if outcome.error is not None:
        raise DelphiAssetsError(f"{step.label} failed: {outcome.error} {again}")
    return outcome


def _of_coders(outcomes: Mapping[Step, Outcome]) -> dict[str, Mapping[str, object]]:
    return {
        step.parts[0]: outcome.facts
        for step, outcome in outcomes.items()
        if step.stage == "sparse_coder"
    }


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


COMMAND = Command("run", "run every stage of a profile, as far as it is not done", _arguments, _run)
