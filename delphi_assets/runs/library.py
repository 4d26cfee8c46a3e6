"""The stages as the library runs them: one call each, in this process, without any framework.

In: a profile, its lake and a step (`runs.order`). Out: what the stage says.
"""

import time
from collections.abc import Callable
from functools import partial

from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import Place
from delphi_assets.runs.order import Outcome, Step
from delphi_assets.settings import Profile


def run(profile: Profile, lake: Lake, step: Step) -> Outcome:
    """Do what is missing of a step; raises what its stage raises."""
    hookpoint = step.parts[0] if step.parts else ""
    report = _stage(step)(profile, lake, hookpoint)
    return Outcome(report.rows, report.new_rows, report.seconds, report.facts)


def _stage(  # noqa: PLR0911 - one a stage
    step: Step,
) -> Callable[[Profile, Lake, str], StageReport]:
    """The function of a stage; a stage loads models or clients that others do without."""
    rebuild = step.rebuild
    match step.stage:
        case "contexts":
            from delphi_assets.caching.contexts import build_contexts

            return lambda profile, lake, _: build_contexts(profile, lake, rebuild=rebuild)
        case "sparse_coder":
            from delphi_assets.caching.coder_preparation import prepare_coder

            return prepare_coder
        case "captured":
            from delphi_assets.caching.capture import capture

            return lambda profile, lake, _: capture(
                profile, lake, range(profile.n_shards), rebuild=rebuild
            )
        case "activations":
            from delphi_assets.caching.activations import merge_shards

            return partial(merge_shards, rebuild=rebuild)
        case "neighbours":
            from delphi_assets.selection.neighbours import find_all_neighbours

            return lambda profile, lake, hookpoint: find_all_neighbours(
                profile, lake, hookpoint, profile.neighbours, rebuild=rebuild
            )
        case "latents":
            from delphi_assets.selection.latents import describe_latents

            return describe_latents
        case "examples":
            from delphi_assets.selection.examples import select_examples

            return select_examples
        case "explanations":
            from delphi_assets.explainers.explanations import explain

            return explain
        case "predictions":
            from delphi_assets.scorers.predictions import score

            return score
        case "scores":
            return lambda profile, lake, hookpoint: _read_scores(Place(profile, lake, hookpoint))


def _read_scores(place: Place) -> StageReport:
    """Nothing is written: a view over predictions. It is read once, so that it is known to work."""
    from delphi_assets.lake.database import connect, query

    started = time.perf_counter()
    with connect(place.lake) as con:
        [row] = query(con, "ui/score_rows", **place.keys).to_pylist()
    return StageReport(
        rows=row["n_scores"], new_rows=0, seconds=time.perf_counter() - started, facts={}
    )
