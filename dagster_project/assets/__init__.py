"""One asset a file. Dagster takes their order from what they read."""

from collections.abc import Callable, Sequence

import dagster as dg

from dagster_project.assets.activations import activations
from dagster_project.assets.captured import captured
from dagster_project.assets.contexts import contexts
from dagster_project.assets.examples import examples
from dagster_project.assets.explanations import explanations
from dagster_project.assets.explorer import explorer
from dagster_project.assets.labels import labels
from dagster_project.assets.latents import latents
from dagster_project.assets.neighbours import neighbours
from dagster_project.assets.predictions import predictions
from dagster_project.assets.scores import scores
from dagster_project.assets.sources import coder, corpus, model
from dagster_project.assets.sparse_coder import sparse_coder
from dagster_project.served_run import ServedRun

_MAKERS: Sequence[Callable[[ServedRun], dg.AssetsDefinition | dg.AssetSpec]] = (
    activations,
    captured,
    coder,
    contexts,
    corpus,
    examples,
    explanations,
    explorer,
    labels,
    latents,
    model,
    neighbours,
    predictions,
    scores,
    sparse_coder,
)


def assets_of(served: ServedRun) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets of a run."""
    return [made(served) for made in _MAKERS]
