"""Jobs: the usual wishes, each one launch, with settings that work as they stand.

In the UI: Jobs, the job, "Materialize...", a hookpoint, "Launch run". On the command line:

    dg launch --job explain_next --partition layers.9
    dg launch --job explain --partition layers.9 \\
        --config-json '{"ops": {"explanations": {"config": {"latents": "0-4"}}}}'
"""

from collections.abc import Mapping

import dagster as dg

from dagster_project.profile import PROFILE


def _config(**assets: Mapping[str, object]) -> dict[str, object]:
    return {"ops": {asset: {"config": dict(fields)} for asset, fields in assets.items()}}


cache_hookpoint = dg.define_asset_job(
    "cache_hookpoint",
    selection=dg.AssetSelection.assets(
        "contexts",
        "sparse_coder",
        "activations",
        "neighbours",
        "latents",
        "examples",
    ),
    config=_config(activations={"capture_missing": True}),
    description="From text to examples at one hookpoint: add it to `cache.hookpoints` of the "
    "profile, reload the code location, choose it here. Other hookpoints of the run are left as "
    "they are. Launched again after an interruption, it goes on.",
)

explain = dg.define_asset_job(
    "explain",
    selection=dg.AssetSelection.assets("explanations"),
    description="Explain latents of a hookpoint from its stored examples: those that the profile "
    "names, unless `latents` says which.",
)

explain_next = dg.define_asset_job(
    "explain_next",
    selection=dg.AssetSelection.assets("explanations"),
    config=_config(explanations={"latents": "next 1000"}),
    description="Explain the next 1,000 latents: the first, in order of number, that this "
    "explainer and model never tried. Launch it again for the next 1,000.",
)

score = dg.define_asset_job(
    "score",
    selection=dg.AssetSelection.assets("predictions", "scores"),
    description="Score stored explanations of a hookpoint. What is scored already is not asked "
    "again, so this also scores what `explain_next` added.",
)

rescore = dg.define_asset_job(
    "rescore",
    selection=dg.AssetSelection.assets("predictions", "scores"),
    config=_config(
        predictions={
            "scorer_model": PROFILE.score.scorer_model,
            "explainer": PROFILE.explain.explainer,
            "latents": PROFILE.score.latents,
        }
    ),
    description="Score the same explanations with another judge: put its LiteLLM model string in "
    "`scorer_model`. Answers of other judges stay beside the new ones.",
)

retry_failures = dg.define_asset_job(
    "retry_failures",
    selection=dg.AssetSelection.assets("explanations", "predictions", "scores"),
    config=_config(explanations={"latents": "failed"}, predictions={"latents": "failed"}),
    description="Ask again about latents whose explanation or answers failed, and about no others; "
    "explanations that come of it are scored by `score`. Time-outs, rate limits and rejected "
    "requests are asked again; an answer that could not be read, or a refusal, would be the same "
    "again, so these are asked only when a setting changed "
    "(another model, prompt or `llm.max_tokens`).",
)

JOBS = [cache_hookpoint, explain, explain_next, score, rescore, retry_failures]
