"""Jobs: the usual wishes, each one launch, with settings that work as they stand.

In the UI: Jobs, the job, "Materialize...", a hookpoint, "Launch run". On the command line:

    dg launch --job explain_next --partition layers.9
    dg launch --job explain --partition layers.9 \\
        --config-json '{"ops": {"explanations": {"config": {"latents": "0-4"}}}}'
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from dagster_project.served_run import ServedRun

if TYPE_CHECKING:
    # Dagster gives it no public name.
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition as Job,
    )

Fields: TypeAlias = Mapping[str, object]


def jobs_of(served: ServedRun) -> list["Job"]:
    """The jobs of a run."""

    def job(name: str, *assets: str, description: str, **config: Fields) -> "Job":
        ops = {served.name(asset): {"config": dict(fields)} for asset, fields in config.items()}
        return dg.define_asset_job(
            served.name(name),
            selection=served.keys(*assets),
            config={"ops": ops} if ops else None,
            description=description,
        )

    return [
        job(
            "cache_hookpoint",
            *("contexts", "sparse_coder", "activations", "neighbours", "latents", "examples"),
            activations={"capture_missing": True},
            description="From text to examples at one hookpoint: add it to `cache.hookpoints` of "
            "the profile, reload the code location, choose it here. Other hookpoints of the run "
            "are left as they are. Launched again after an interruption, it goes on.",
        ),
        job(
            "explain",
            "explanations",
            description="Explain latents of a hookpoint from its stored examples: those that the "
            "profile names, unless `latents` says which.",
        ),
        job(
            "explain_next",
            "explanations",
            explanations={"latents": "next 1000"},
            description="Explain the next 1,000 latents: the first, in order of number, that this "
            "explainer and model never tried. Launch it again for the next 1,000.",
        ),
        job(
            "score",
            *("predictions", "scores"),
            description="Score stored explanations of a hookpoint. What is scored already is not "
            "asked again, so this also scores what `explain_next` added.",
        ),
        job(
            "rescore",
            *("predictions", "scores"),
            predictions={
                "scorer_model": served.profile.score.scorer_model,
                "explainer": served.profile.explain.explainer,
                "latents": served.profile.score.latents,
            },
            description="Score the same explanations with another judge: put its LiteLLM model "
            "string in `scorer_model`. Answers of other judges stay beside the new ones.",
        ),
        job(
            "retry_failures",
            *("explanations", "predictions", "scores"),
            explanations={"latents": "failed"},
            predictions={"latents": "failed"},
            description="Ask again about latents whose explanation or answers failed, and about no "
            "others; explanations that come of it are scored by `score`. Time-outs, rate limits "
            "and rejected requests are asked again; an answer that could not be read, or a "
            "refusal, would be the same again, so these are asked only when a setting changed "
            "(another model, prompt or `llm.max_tokens`).",
        ),
    ]
