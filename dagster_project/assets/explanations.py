"""Asset `explanations`: a text per latent that says when it fires."""

from dataclasses import replace
from typing import TYPE_CHECKING

import dagster as dg
import duckdb

from dagster_project import markdown, plots, previews
from dagster_project.assets.examples import examples
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
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, keys_of, open_lake
from delphi_assets.lake import schema
from delphi_assets.lake.database import connect, query
from delphi_assets.lake.newest_rows import newest_rows_version
from delphi_assets.lake.place import Place
from delphi_assets.latent_ranges import parse_wanted
from delphi_assets.settings import ExplainSettings

if TYPE_CHECKING:
    ExplanationsConfig = dg.Config
else:
    ExplanationsConfig = config_of(
        "ExplanationsConfig",
        ExplainSettings,
        selection="name of the selection of examples to show",
    )


@dg.asset(
    group_name="explaining",
    description="A text per latent that says when it fires, by an LLM or by counting "
    "(`lexical`).\n\n"
    "**In:** train windows of `examples`. **Out:** a row per latent, explainer, model and prompt; "
    "a failure is a row with its reason. **Cost:** one call a latent, best_of_k 2 k of them; what "
    "is there already is not asked for again. `delphi-assets estimate` says it beforehand. **Look "
    "at:** the preview, `latents_left`, `failed`, `run_dollars_so_far`.",
    kinds={"litellm", "parquet"},
    owners=OWNERS,
    tags=asset_tags("table", paid=True),
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
    settings = launched(PROFILE.explain, "explanations", config)
    own = config.model_dump(include={"selection"})
    wanted = parse_wanted(settings.latents)
    selection = own["selection"] or PROFILE.selection.name
    from delphi_assets.explainers.explanations import explain

    lake, hookpoint = open_lake(), context.partition_key
    report = explain(PROFILE, lake, hookpoint, wanted, settings, selection)
    keys = keys_of(hookpoint)
    version = newest_rows_version(Place(PROFILE, lake, hookpoint), "explanations")
    with connect(lake) as con:
        failed = query(con, "ui/failed_latents", **keys, stage="explanation", n_shown=LATENTS_SHOWN)
        points = query(con, "ui/cost_so_far", run=PROFILE.run.name, n_points=COST_POINTS)
        return materialized(
            "explanations",
            replace(with_cost(report, points), data_version=version),
            bytes=stored_bytes(schema.EXPLANATIONS, hookpoint),
            latents_left=_left(con, hookpoint, settings, selection),
            preview=previews.of_explanations(con, hookpoint, selection),
            failures=markdown.table(failed),
            cost_so_far=plots.cost_so_far(points),
        )


def _left(
    con: duckdb.DuckDBPyConnection, hookpoint: str, settings: ExplainSettings, selection: str
) -> int | None:
    """Latents that the explainer could still explain; None for one that writes nothing."""
    if settings.explainer == "none":
        return None
    asks = settings.explainer_model != "lexical"
    left = query(
        con,
        "ui/unexplained_latents",
        **keys_of(hookpoint),
        selection=selection,
        explainer=settings.explainer,
        explainer_model=settings.explainer_model if asks else settings.explainer,
        n_rows=1,
    ).to_pylist()
    return left[0]["n_left"] if left else 0
