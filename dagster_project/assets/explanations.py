"""Asset `explanations`: a text per latent that says when it fires."""

from dataclasses import replace
from typing import TYPE_CHECKING

import dagster as dg
import duckdb

from dagster_project import markdown, plots, previews
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


def explanations(served: ServedRun) -> dg.AssetsDefinition:
    """The asset of a run."""

    @dg.asset(
        key=served.key("explanations"),
        group_name=served.group("explaining"),
        description="A text per latent that says when it fires, by an LLM or by counting "
        "(`lexical`).\n\n"
        "**In:** train windows of `examples`. **Out:** a row per latent, explainer, model and "
        "prompt; a failure is a row with its reason. **Cost:** one call a latent, best_of_k 2 k "
        "of them; what is there already is not asked for again. `delphi-assets estimate` says it "
        "beforehand. **Look at:** the preview, `latents_left`, `failed`, `run_dollars_so_far`.",
        kinds={"litellm", "parquet"},
        owners=OWNERS,
        tags=asset_tags("table", paid=True),
        code_version=served.code_version(1),
        partitions_def=served.hookpoints,
        deps=[served.key("examples")],
        required_resource_keys=served.resource_keys,
        pool="llm",
        metadata=of_table(served, schema.EXPLANATIONS),
    )
    def materialize(
        context: dg.AssetExecutionContext, config: ExplanationsConfig
    ) -> dg.MaterializeResult[None]:
        """One hookpoint a partition; ranges of latents are run config."""
        settings = launched(served.profile.explain, "explanations", config)
        own = config.model_dump(include={"selection"})
        wanted = parse_wanted(settings.latents)
        selection = own["selection"] or served.profile.selection.name
        from delphi_assets.explainers.explanations import explain

        place = served.place(context, selection)
        report = explain(place.profile, place.lake, place.hookpoint, wanted, settings, selection)
        version = newest_rows_version(place, "explanations")
        with connect(place.lake) as con:
            failed = query(
                con, "ui/failed_latents", **place.keys, stage="explanation", n_shown=LATENTS_SHOWN
            )
            points = query(con, "ui/cost_so_far", run=place.run, n_points=COST_POINTS)
            return materialized(
                served,
                "explanations",
                replace(with_cost(report, points), data_version=version),
                bytes=stored_bytes(schema.EXPLANATIONS, place),
                latents_left=_left(con, place, settings, selection),
                preview=previews.of_explanations(con, place, selection),
                failures=markdown.table(failed),
                cost_so_far=plots.cost_so_far(points),
            )

    return materialize


def _left(
    con: duckdb.DuckDBPyConnection, place: Place, settings: ExplainSettings, selection: str
) -> int | None:
    """Latents that the explainer could still explain; None for one that writes nothing."""
    if settings.explainer == "none":
        return None
    asks = settings.explainer_model != "lexical"
    left = query(
        con,
        "ui/unexplained_latents",
        **place.keys,
        selection=selection,
        explainer=settings.explainer,
        explainer_model=settings.explainer_model if asks else settings.explainer,
        n_rows=1,
    ).to_pylist()
    return left[0]["n_left"] if left else 0
