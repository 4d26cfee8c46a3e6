"""A dry run: what explaining and scoring will come to, without asking anybody.

In: a profile whose examples are in the lake. Out: an `Estimate` a hookpoint for each of the two
stages that asks an LLM, over the latents that the profile asks for.
"""

from delphi_assets.explainers.explanations import requests_to_explain
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import parse_wanted
from delphi_assets.llm.money.estimates import Estimate, estimate
from delphi_assets.scorers.predictions import requests_to_score
from delphi_assets.settings import Profile


def estimate_run(profile: Profile, lake: Lake, sample: int = 100) -> list[Estimate]:
    """Estimates from the questions about `sample` latents at most a hookpoint and stage.

    Explanations that are not there yet are taken to be as long as a stand-in text. Raises
    `NotReadyError` without examples.
    """
    estimates = []
    selection = profile.selection.name
    for hookpoint in profile.cache.hookpoints:
        explained = parse_wanted(profile.explain.latents)
        scored = parse_wanted(profile.score.latents)
        for planned in (
            requests_to_explain(
                profile, lake, hookpoint, explained, profile.explain, selection, sample
            ),
            requests_to_score(profile, lake, hookpoint, scored, profile.score, selection, sample),
        ):
            if planned is not None:
                estimates.append(estimate(lake, profile.run.name, profile.llm, planned))
    return estimates
