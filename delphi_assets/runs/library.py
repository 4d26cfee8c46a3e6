"""The stages as the library runs them: one call each, in this process, without any framework.

In: a profile, its lake and a step (`runs.order`). Out: what the stage says.
"""

import time
from collections.abc import Callable, Mapping

from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import Lake
from delphi_assets.runs.order import Outcome, Stage, Step
from delphi_assets.settings import Profile


def run(profile: Profile, lake: Lake, step: Step) -> Outcome:
    """Do what is missing of a step; raises what its stage raises."""
    hookpoint = step.parts[0] if step.parts else ""
    report = _RUNS[step.stage](profile, lake, hookpoint)
    return Outcome(report.rows, report.new_rows, report.seconds, report.facts)


def _contexts(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    from delphi_assets.caching.contexts import build_contexts

    return build_contexts(profile, lake)


def _sparse_coder(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    from delphi_assets.caching.coder_preparation import prepare_coder

    return prepare_coder(profile, lake, hookpoint)


def _captured(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    from delphi_assets.caching.capture import capture

    return capture(profile, lake, range(profile.n_shards), profile.cache.hookpoints)


def _activations(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    from delphi_assets.caching.activations import merge_shards

    return merge_shards(profile, lake, hookpoint)


def _neighbours(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    from delphi_assets.selection.neighbours import find_all_neighbours

    return find_all_neighbours(profile, lake, hookpoint, profile.neighbours)


def _latents(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    from delphi_assets.selection.latents import describe_latents

    return describe_latents(profile, lake, hookpoint)


def _examples(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    from delphi_assets.selection.examples import select_examples

    return select_examples(profile, lake, hookpoint, profile.selection)


def _explanations(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    from delphi_assets.explainers.explanations import explain

    return explain(profile, lake, hookpoint)


def _predictions(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    from delphi_assets.scorers.predictions import score

    return score(profile, lake, hookpoint)


def _scores(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    """Nothing is written: a view over predictions. It is read once, so that it is known to work."""
    from delphi_assets.lake.database import connect, query

    started = time.perf_counter()
    with connect(lake) as con:
        place = {"run": profile.run.name, "hookpoint": hookpoint}
        [row] = query(con, "ui/score_rows", **place).to_pylist()
    return StageReport(
        rows=row["n_scores"], new_rows=0, seconds=time.perf_counter() - started, facts={}
    )


_RUNS: Mapping[Stage, Callable[[Profile, Lake, str], StageReport]] = {
    "contexts": _contexts,
    "sparse_coder": _sparse_coder,
    "captured": _captured,
    "activations": _activations,
    "neighbours": _neighbours,
    "latents": _latents,
    "examples": _examples,
    "explanations": _explanations,
    "predictions": _predictions,
    "scores": _scores,
}
