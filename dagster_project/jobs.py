"""Jobs that are one launch: explain latents of a hookpoint; score stored explanations.

    dg launch --job explain --partition layers.9 \\
        --config-json '{"ops": {"explanations": {"config": {"latents": "0-4"}}}}'
    dg launch --job score --partition layers.9 \\
        --config-json '{"ops": {"predictions": {"config": {"latents": "0-2"}}}}'
"""

import dagster as dg

explain = dg.define_asset_job(
    "explain",
    selection=dg.AssetSelection.assets("explanations"),
    description="Explain latents of a hookpoint from its stored examples.",
)

score = dg.define_asset_job(
    "score",
    selection=dg.AssetSelection.assets("predictions", "scores"),
    description="Score stored explanations of a hookpoint.",
)

JOBS = [explain, score]
