"""Asset `predictions`: what a judge answers on each example, given an explanation."""

import dagster as dg
from pydantic import Field

from dagster_project import markdown, plots
from dagster_project.assets.examples import examples
from dagster_project.assets.explanations import explanations
from dagster_project.assets.neighbours import neighbours
from dagster_project.metadata import (
    COST_POINTS,
    LATENTS_SHOWN,
    OWNERS,
    materialized,
    of_table,
    stored_bytes,
    with_cost,
)
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, given, open_lake
from delphi_assets import schema
from delphi_assets.database import connect, query
from delphi_assets.scorers import registry
from delphi_assets.settings import override, parse_wanted


class PredictionsConfig(dg.Config):
    """What a launch may change; a field left empty is the profile's."""

    latents: str = Field(
        "",
        description="latents to score: 0-2, 17; all; next 1000 (the first with an explanation that "
        "was never scored, in order of number); failed (those begun that lack answers)",
    )
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
    description="A scorer's answer on every test window of a latent, given nothing but a stored "
    "explanation.\n\n"
    "**In:** `explanations`, test windows of `examples`, `neighbours` for "
    "discrimination. **Out:** a row per answer, floors beside it (`score.controls`); a failure is "
    "a row with its reason. **Cost:** windows / `num_examples_per_scorer_prompt` calls a latent, "
    "scorer and control (docs/scorers.md); what is there already is not asked again. **Look at:** "
    "`failed_predictions`, the calibration of the judge, `run_dollars_so_far`.",
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
    wanted = parse_wanted(settings.latents)
    selection = config.selection or PROFILE.selection.name
    explainer = given(config.explainer)
    from delphi_assets.predictions import score

    lake, hookpoint = open_lake(), context.partition_key
    report = score(PROFILE, lake, hookpoint, wanted, settings, selection, explainer)
    place = {"run": PROFILE.run.name, "hookpoint": hookpoint}
    with connect(lake) as con:
        failed = query(con, "ui/failed_latents", **place, stage="prediction", n_shown=LATENTS_SHOWN)
        points = query(con, "ui/cost_so_far", run=PROFILE.run.name, n_points=COST_POINTS)
        calibrated = query(con, "ui/calibration", **place, selection=selection)
    return materialized(
        "predictions",
        with_cost(report, points),
        bytes=stored_bytes(schema.PREDICTIONS, hookpoint),
        calibration=plots.calibration(calibrated),
        failures=markdown.table(failed),
        cost_so_far=plots.cost_so_far(points),
    )
