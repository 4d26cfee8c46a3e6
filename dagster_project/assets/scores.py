"""Asset `scores`: a SQL view over `predictions`, with what it says now."""

import time

import dagster as dg

from dagster_project import glances, markdown, plots
from dagster_project.metadata import OWNERS, asset_tags, columns_of, materialized
from dagster_project.served_run import ServedRun
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.database import connect, query, statement
from delphi_assets.lake.schema import SCORES
from delphi_assets.scorers.kept_scores import keep_influences, keep_scores
from delphi_assets.scorers.recall_by_strength import recall_curves


def scores(served: ServedRun) -> dg.AssetsDefinition:
    """The asset of a run."""

    @dg.asset(
        key=served.key("scores"),
        group_name=served.group("scoring"),
        description="How good every explanation is, by every scorer and judge.\n\n"
        "**In:** `predictions`, `latents`. **Out:** a view, so nothing is written and nothing "
        "is out of date: confusion counts, precision, recall, F1, balanced accuracy, mass "
        "explained, AUROC, AUPRC, correlation, each with a 95% interval; launching it draws what "
        "it says now. "
        "**Cost:** seconds of SQL. **Look at:** how far the own explanations (bars) stand "
        "from the floors (lines); a scorer whose floors are as high says nothing. Then at how far "
        "recall falls from strong windows to weak ones.",
        kinds={"duckdb", "view"},
        owners=OWNERS,
        tags=asset_tags("view"),
        code_version=served.code_version(2),
        automation_condition=dg.AutomationCondition.eager(),
        partitions_def=served.hookpoints,
        deps=[served.key("latents"), served.key("predictions")],
        required_resource_keys=served.resource_keys,
        metadata={
            "dagster/column_schema": columns_of(SCORES),
            "dagster/table_name": "scores",
            "definition": dg.MetadataValue.md(f"```sql\n{statement('scores/computed_scores')}```"),
        },
    )
    def materialize(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """One hookpoint a partition."""
        started = time.perf_counter()
        place = served.place(context)
        selection = place.profile.selection.name
        with connect(place.lake) as con:
            keep_scores(con, place.run, place.hookpoint)
            keep_influences(con, place.run, place.hookpoint)
            bins = query(con, "ui/score_distributions", **place.keys, selection=selection)
            by_density = query(con, "ui/f1_by_density", **place.keys, selection=selection)
            calibrated = query(con, "ui/calibration", **place.keys, selection=selection)
            curves = recall_curves(con, place.run, place.hookpoint)
            means = query(con, "analysis/hookpoint_scores", **place.keys)
            compared = query(con, "analysis/own_against_floors", **place.keys, most_tokens=None)
            n_scores = query(con, "ui/score_rows", **place.keys)["n_scores"][0].as_py()
        seconds = time.perf_counter() - started
        report = StageReport(rows=n_scores, new_rows=0, seconds=seconds, facts=glances.means(bins))
        return materialized(
            served,
            "scores",
            report,
            scores=glances.scores(bins),
            score_distributions=plots.score_distributions(bins),
            f1_against_density=plots.f1_by_density(by_density),
            recall_by_strength=plots.recall_by_strength(
                [curve for curve in curves if curve.selection == selection]
            ),
            calibration=plots.calibration(calibrated),
            hookpoint_scores=markdown.table(means),
            own_against_floors=markdown.table(compared),
        )

    return materialize
