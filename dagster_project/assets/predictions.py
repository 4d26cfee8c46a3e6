"""Asset `predictions`: what a judge answers on each example, given an explanation."""

import dagster as dg
from pydantic import Field

from dagster_project.assets.examples import examples
from dagster_project.assets.explanations import explanations
from dagster_project.assets.neighbours import neighbours
from dagster_project.metadata import OWNERS, materialized, of_table
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, given, open_lake
from delphi_assets import schema
from delphi_assets.scorers import registry
from delphi_assets.settings import override, parse_latents


class PredictionsConfig(dg.Config):
    """What a launch may change; a field left empty is the profile's."""

    latents: str = Field("", description="latents to score, e.g. 0-2, 17, or all")
    selection: str | None = Field(None, description="name of the selection of examples to judge")
    explainer: str | None = Field(
        None, description="whose explanations to judge: default, lexical, or all"
    )
    scorers: list[str] = Field(
        [], description=f"scorers to run: {', '.join(registry.known())}, or package.module:function"
    )
    scorer_model: str | None = Field(
        None, description="LiteLLM model string of the judge, or lexical"
    )
    num_examples_per_scorer_prompt: int | None = Field(None, description="examples a prompt")
    log_prob: bool | None = Field(None, description="ask for log-probabilities")
    controls: list[str] | None = Field(
        None, description="floors beside the own explanation: shuffled (another latent's), empty"
    )
    fuzz_type: str | None = Field(None, description="fuzz: default or active")
    intruder_type: str | None = Field(None, description="intruder: default or internal")
    simulation_type: str | None = Field(None, description="simulation: logprobs or json")


@dg.asset(
    group_name="scoring",
    description="A scorer's answer on every test example of a latent, given a stored "
    "explanation. A failure is a row with its reason; what is there already is not asked again.",
    kinds={"litellm", "parquet"},
    owners=OWNERS,
    code_version="1",
    partitions_def=HOOKPOINTS,
    deps=[examples, explanations, neighbours],
    pool="llm",
    metadata=of_table(schema.PREDICTIONS),
)
def predictions(
    context: dg.AssetExecutionContext, config: PredictionsConfig
) -> dg.MaterializeResult[None]:
    """One hookpoint a partition; ranges of latents are run config."""
    settings = override(
        PROFILE.score,
        "launch of predictions",
        latents=given(config.latents),
        scorers=given(config.scorers),
        scorer_model=given(config.scorer_model),
        num_examples_per_scorer_prompt=config.num_examples_per_scorer_prompt,
        log_prob=config.log_prob,
        controls=config.controls,
        fuzz_type=config.fuzz_type,
        intruder_type=config.intruder_type,
        simulation_type=config.simulation_type,
    )
    wanted = parse_latents(settings.latents)
    selection = config.selection or PROFILE.selection.name
    explainer = given(config.explainer)
    from delphi_assets.predictions import score

    return materialized(
        score(PROFILE, open_lake(), context.partition_key, wanted, settings, selection, explainer)
    )
