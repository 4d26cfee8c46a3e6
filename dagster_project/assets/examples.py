"""Asset `examples`: the windows shown to explainers and scorers."""

import dagster as dg
from pydantic import Field

from dagster_project import previews
from dagster_project.assets.activations import activations
from dagster_project.assets.contexts import contexts
from dagster_project.assets.latents import latents
from dagster_project.assets.neighbours import neighbours
from dagster_project.metadata import OWNERS, materialized, of_table
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, given, open_lake
from delphi_assets import schema
from delphi_assets.database import connect
from delphi_assets.settings import override


class ExamplesConfig(dg.Config):
    """What a launch may change; a field left empty is the profile's.

    Another choice of windows needs another name: a selection in the lake is never overwritten.
    """

    name: str | None = Field(None, description="name of this selection in the lake")
    latents: str | None = Field(None, description="latents to select for, e.g. '0-4, 17', or all")
    seed: int | None = Field(None, description="seed of the draws")
    example_ctx_len: int | None = Field(None, description="tokens in a window")
    min_examples: int | None = Field(None, description="fewest windows of an explained latent")
    max_examples: int | None = Field(None, description="strongest windows considered")
    n_examples_train: int | None = Field(None, description="windows for the explainer")
    n_examples_test: int | None = Field(None, description="activating windows for the scorers")
    n_non_activating: int | None = Field(None, description="non-activating windows for the scorers")
    n_non_activating_train: int | None = Field(
        None, description="non-activating windows for the explainer"
    )
    n_quantiles: int | None = Field(None, description="rank bins")
    train_type: str | None = Field(
        None, description="sampler of the train windows: top, random, quantiles or mix"
    )
    test_type: str | None = Field(
        None, description="sampler of the test windows: quantiles or activations"
    )
    ratio_top: float | None = Field(None, description="mix: share drawn from the top, 0 to 1")
    center_examples: bool | None = Field(
        None, description="put the strongest token in the middle instead of aligning windows"
    )
    non_activating_source: dict[str, float] = Field(
        {},
        description="where non-activating windows come from, with shares: random, co-occurrence, "
        "decoder, encoder, semantic; in the order in which they are asked",
    )
    sentence_encoder: str | None = Field(
        None, description="semantic: embedded, or a sentence-transformers folder or hub name"
    )


@dg.asset(
    group_name="selection",
    description="The windows that stand for a latent: train windows for the explainer, test "
    "windows and windows in which it is silent for the scorers.\n\n"
    "**In:** `activations`, `contexts`, "
    "`latents`, `neighbours`. **Out:** a selection under a name of its own; what could not be "
    "filled is a row of the table `shortfalls`. **Cost:** SQL, about a thousand latents a second; "
    "semantic negatives embed the corpus once. **Look at:** the preview: do the windows of a "
    "latent have anything in common? And `shortfalls`.",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    code_version="2",
    partitions_def=HOOKPOINTS,
    deps=[
        contexts,
        latents,
        activations,
        neighbours,
    ],
    metadata=of_table(schema.EXAMPLES),
)
def examples(
    context: dg.AssetExecutionContext, config: ExamplesConfig
) -> dg.MaterializeResult[None]:
    """One hookpoint a partition, one selection a launch."""
    changes = {name: given(value) for name, value in config.model_dump().items()}
    selection = override(PROFILE.selection, "launch of examples", **changes)
    from delphi_assets.examples import select_examples

    lake, hookpoint = open_lake(), context.partition_key
    report = select_examples(PROFILE, lake, hookpoint, selection)
    with connect(lake) as con:
        preview = previews.of_examples(con, hookpoint, selection.name)
    return materialized("examples", report, preview=preview)
