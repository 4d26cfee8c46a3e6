"""Assets `corpus`, `model`, `coder`: what a run is made from, which comes from outside.

Dagster shows them at the left end of the graph and launches nothing of them.
"""

from typing import NamedTuple

import dagster as dg

from dagster_project.metadata import OWNERS, asset_tags
from dagster_project.served_run import ServedRun
from delphi_assets.settings import TRAIN


class _Source(NamedTuple):
    """Something that a run is made from."""

    name: str
    setting: str
    value: str
    what: str
    kind: str


def _asset(served: ServedRun, source: _Source) -> dg.AssetSpec:
    return dg.AssetSpec(
        served.key(source.name),
        group_name=served.group("subject"),
        description=f"{source.what}\n\n"
        f"**In:** nothing here: it is `{source.setting}` of the profile, now `{source.value}`. "
        "**Out:** what the assets to the right read. **Cost:** nothing is launched here; what "
        "comes from a hub is fetched once. **Look at:** whether it still is what it was: another "
        "one under the same name is refused where it would change the run's data.",
        kinds={source.kind},
        owners=OWNERS,
        tags=asset_tags("source"),
        metadata={"dagster/uri": source.value, "setting": source.setting},
    )


def corpus(served: ServedRun) -> dg.AssetSpec:
    """The asset of a run."""
    repo = served.profile.corpus.dataset_repo
    source = _Source("corpus", "corpus.dataset_repo", repo, "The text that is read.", "text")
    return _asset(served, source)


def model(served: ServedRun) -> dg.AssetSpec:
    """The asset of a run."""
    what = "The language model whose activations are read, with its tokenizer."
    name = served.profile.model.name
    return _asset(served, _Source("model", "model.name", name, what, "transformers"))


def coder(served: ServedRun) -> dg.AssetSpec:
    """The asset of a run."""
    given = served.profile.coder
    names = ", ".join(filter(None, [given.sparse_model, *given.sparse_models.values()]))
    what = "The sparse coder that reads the activations."
    if given.sparse_model == TRAIN:
        what += " In this profile it does not come from outside: `sparse_coder` trains it."
    return _asset(served, _Source("coder", "coder.sparse_model", names, what, "safetensors"))
