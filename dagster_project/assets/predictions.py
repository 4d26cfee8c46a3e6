"""Asset `predictions`: what a judge answers on each example, given an explanation."""

from dataclasses import replace
from typing import TYPE_CHECKING

import dagster as dg

from dagster_project import markdown, plots
from dagster_project.launch import config_of, launched
from dagster_project.metadata import (
    COST_POINTS,
    LATENTS_SHOWN,
    OWNERS,
    asset_tags,
    materialized,
    of_table,
    stored_bytes,
    with_cost,
)
from dagster_project.served_run import ServedRun
from delphi_assets.lake import schema
from delphi_assets.lake.database import connect, query
from delphi_assets.lake.newest_rows import newest_rows_version
from delphi_assets.latent_ranges import parse_wanted
from delphi_assets.settings import ScoreSettings

if TYPE_CHECKING:
    PredictionsConfig = dg.Config
else:
    PredictionsConfig = config_of(
        "PredictionsConfig",
        ScoreSettings,
        selection="name of the selection of examples to judge",
        explainer="whose explanations to judge: default, lexical, or all",
    )


def predictions(served: ServedRun) -> dg.AssetsDefinition:
    """The asset of a run."""

    @dg.asset(
        key=served.key("predictions"),
        group_name=served.group("scoring"),
        description="A scorer's answer on every test window of a latent, given nothing but a "
        "stored explanation.\n\n"
        "**In:** `explanations`, test windows of `examples`, `neighbours` for discrimination. "
        "**Out:** a row per answer, floors beside it (`score.controls`); a failure is a row with "
        "its reason. **Cost:** windows / `num_examples_per_scorer_prompt` calls a latent, scorer "
        "and control (docs/scorers.md); what is there already is not asked again. **Look at:** "
        "`failed_predictions`, `judge_cards` (`delphi-assets calibrate`), the calibration of "
        "the judge, `run_dollars_so_far`.",
        kinds={"litellm", "parquet"},
        owners=OWNERS,
        tags=asset_tags("table", paid=True),
        code_version=served.code_version(1),
        partitions_def=served.hookpoints,
        deps=[served.key("examples"), served.key("explanations"), served.key("neighbours")],
        required_resource_keys=served.resource_keys,
        pool="llm",
        metadata=of_table(served, schema.PREDICTIONS),
    )
    def materialize(
        context: dg.AssetExecutionContext, config: PredictionsConfig
    ) -> dg.MaterializeResult[None]:
        """One hookpoint a partition; ranges of latents are run config."""
        settings = launched(served.profile.score, "predictions", config)
        own = config.model_dump(include={"selection", "explainer"})
        wanted = parse_wanted(settings.latents)
        selection, explainer = (
            own["selection"] or served.profile.selection.name,
            own["explainer"] or None,
        )
        from delphi_assets.scorers.predictions import score

        place = served.place(context, selection)
        report = score(
            place.profile, place.lake, place.hookpoint, wanted, settings, selection, explainer
        )
        version = newest_rows_version(place, "predictions")
        with connect(place.lake) as con:
            failed = query(
                con, "ui/failed_latents", **place.keys, stage="prediction", n_shown=LATENTS_SHOWN
            )
            points = query(con, "ui/cost_so_far", run=place.run, n_points=COST_POINTS)
            calibrated = query(con, "ui/calibration", **place.keys, selection=selection)
            cards = query(con, "ui/judge_cards", **place.keys)
        return materialized(
            served,
            "predictions",
            replace(with_cost(report, points), data_version=version),
            bytes=stored_bytes(schema.PREDICTIONS, place),
            judge_cards=markdown.table(cards),
            calibration=plots.calibration(calibrated),
            failures=markdown.table(failed),
            cost_so_far=plots.cost_so_far(points),
        )

    return materialize
