"""Assets `corpus`, `model`, `coder`: what a run is made from, which comes from outside.

Dagster shows them at the left end of the graph and launches nothing of them.
"""

import dagster as dg

from dagster_project.metadata import OWNERS, asset_tags
from dagster_project.profile import PROFILE
from delphi_assets.settings import TRAIN


def _source(name: str, setting: str, value: str, what: str, kind: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        name,
        group_name="subject",
        description=f"{what}\n\n"
        f"**In:** nothing here: it is `{setting}` of the profile, now `{value}`. **Out:** what the "
        "assets to the right read. **Cost:** nothing is launched here; what comes from a hub is "
        "fetched once. **Look at:** whether it still is what it was: another one under the same "
        "name is refused where it would change the run's data.",
        kinds={kind},
        owners=OWNERS,
        tags=asset_tags("source"),
        metadata={"dagster/uri": value, "setting": setting},
    )


corpus = _source(
    "corpus", "corpus.dataset_repo", PROFILE.corpus.dataset_repo, "The text that is read.", "text"
)
model = _source(
    "model",
    "model.name",
    PROFILE.model.name,
    "The language model whose activations are read, with its tokenizer.",
    "transformers",
)
coder = _source(
    "coder",
    "coder.sparse_model",
    ", ".join(filter(None, [PROFILE.coder.sparse_model, *PROFILE.coder.sparse_models.values()])),
    "The sparse coder that reads the activations."
    + (
        " In this profile it does not come from outside: `sparse_coder` trains it."
        if PROFILE.coder.sparse_model == TRAIN
        else ""
    ),
    "safetensors",
)
