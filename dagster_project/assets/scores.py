"""Asset `scores`: a SQL view over `predictions`, with what it says now."""

import time

import dagster as dg

from dagster_project import plots
from dagster_project.assets.latents import latents
from dagster_project.assets.predictions import predictions
from dagster_project.metadata import OWNERS, columns_of, materialized
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, open_lake
from delphi_assets.database import connect, query, sql_folder
from delphi_assets.schema import SCORES
from delphi_assets.stage import StageReport


@dg.asset(
    group_name="scoring",
    description="Confusion counts, precision, recall, F1, balanced accuracy, AUROC, AUPRC and "
    "correlation of every explanation and scorer, with 95% intervals. A view: nothing is written, "
    "so it is never out of date.",
    kinds={"duckdb", "view"},
    owners=OWNERS,
    code_version="2",
    partitions_def=HOOKPOINTS,
    deps=[latents, predictions],
    metadata={
        "dagster/column_schema": columns_of(SCORES),
        "dagster/table_name": "scores",
        "definition": dg.MetadataValue.md(
            f"```sql\n{(sql_folder() / 'scores' / 'scores.sql').read_text(encoding='utf-8')}```"
        ),
    },
)
def scores(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """One hookpoint a partition."""
    started = time.perf_counter()
    place = {"run": PROFILE.run.name, "hookpoint": context.partition_key}
    with connect(open_lake()) as con:
        bins = query(con, "analysis/score_distribution", **place)
        means = query(con, "analysis/hookpoint_scores", **place)
        compared = query(con, "analysis/own_against_floors", **place, most_tokens=None)
    report = StageReport(
        rows=sum(bins["n_scores"].to_pylist()), new_rows=0, seconds=time.perf_counter() - started
    )
    return materialized(
        report,
        balanced_accuracy=plots.score_distributions(bins),
        hookpoint_scores=plots.table(means),
        own_against_floors=plots.table(compared),
    )
