"""Asset `explanations`: a text per latent that says when it fires."""

import dagster as dg
from pydantic import Field

from dagster_project.assets.examples import examples
from dagster_project.metadata import OWNERS, materialized, of_table
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, given, open_lake
from delphi_assets import schema
from delphi_assets.settings import override, parse_latents


class ExplanationsConfig(dg.Config):
    """What a launch may change; a field left empty is the profile's."""

    latents: str = Field("", description="latents to explain, e.g. 0-4, 17, or all")
    selection: str | None = Field(None, description="name of the selection of examples to show")
    explainer: str | None = Field(
        None,
        description="default, contrastive, single_token or best_of_k (an LLM), lexical (counting), "
        "none (what is stored), or one of your own, as package.module:function",
    )
    explainer_model: str | None = Field(
        None, description="LiteLLM model string; lexical for an explainer that asks no LLM"
    )
    threshold: float | None = Field(
        None, description="share of the maximum above which a token is highlighted"
    )
    show_activations: bool | None = Field(
        None, description="list (token, 0-10) pairs under a window"
    )
    cot: bool | None = Field(None, description="ask for chain of thought before the explanation")
    prompts: str | None = Field(
        None, description="folder of prompt files that stand in for shipped ones of the same name"
    )
    candidates_by: str | None = Field(None, description="best_of_k: explainer of the candidates")
    k: int | None = Field(None, description="best_of_k: candidates a latent")
    candidate_temperature: float | None = Field(
        None, description="best_of_k: sampling temperature of the candidates"
    )
    quick_windows: int | None = Field(
        None, description="best_of_k: train windows of each kind held out to choose by"
    )


@dg.asset(
    group_name="explaining",
    description="Explanations by an LLM or by counting (`lexical`). A failure is a row with its "
    "reason; what is there already is not asked for again.",
    kinds={"litellm", "parquet"},
    owners=OWNERS,
    code_version="1",
    partitions_def=HOOKPOINTS,
    deps=[examples],
    pool="llm",
    metadata=of_table(schema.EXPLANATIONS),
)
def explanations(
    context: dg.AssetExecutionContext, config: ExplanationsConfig
) -> dg.MaterializeResult[None]:
    """One hookpoint a partition; ranges of latents are run config."""
    settings = override(
        PROFILE.explain,
        "launch of explanations",
        latents=given(config.latents),
        explainer=given(config.explainer),
        explainer_model=given(config.explainer_model),
        threshold=config.threshold,
        show_activations=config.show_activations,
        cot=config.cot,
        prompts=given(config.prompts),
        candidates_by=given(config.candidates_by),
        k=config.k,
        candidate_temperature=config.candidate_temperature,
        quick_windows=config.quick_windows,
    )
    wanted = parse_latents(settings.latents)
    selection = config.selection or PROFILE.selection.name
    from delphi_assets.explanations import explain

    return materialized(
        explain(PROFILE, open_lake(), context.partition_key, wanted, settings, selection)
    )
