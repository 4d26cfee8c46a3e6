"""Asset `explorer`: a static site about a hookpoint's latents, beside the tables of the lake."""

import dagster as dg

from dagster_project.metadata import OWNERS, asset_tags, materialized
from dagster_project.served_run import ServedRun


def explorer(served: ServedRun) -> dg.AssetsDefinition:
    """The asset of a run."""

    @dg.asset(
        key=served.key("explorer"),
        group_name=served.group("scoring"),
        description="A site to look at the latents of a hookpoint: overview, list, a page a "
        "latent.\n\n"
        "**In:** everything the lake says of them: `latents`, `neighbours`, `examples`, "
        "`explanations`, `predictions`, `scores`, `labels`. **Out:** files in the lake's folder "
        "`explorer`; open its `index.html` from disk, or serve the folder. It is not a table: it "
        "shows the lake as it was when it was written, so launch it again after more was "
        "explained, scored or labelled. **Cost:** some seconds for a thousand latents. **Look "
        "at:** `path`.",
        kinds={"duckdb", "javascript"},
        owners=OWNERS,
        tags=asset_tags("site"),
        code_version=served.code_version(1),
        # Nobody has to add labels, and Dagster does not see those that somebody adds.
        automation_condition=dg.AutomationCondition.eager().ignore(served.keys("labels")),
        partitions_def=served.hookpoints,
        deps=[
            served.key("latents"),
            served.key("neighbours"),
            served.key("examples"),
            served.key("scores"),
            served.key("labels"),
        ],
        required_resource_keys=served.resource_keys,
        metadata={"dagster/uri": served.lake.location("explorer/index.html")},
    )
    def materialize(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """One hookpoint a partition; the site keeps the others."""
        from delphi_assets.explorer import write_explorer

        place = served.place(context)
        # A site can be of explanations alone, as of an imported run; here it is what it says it is.
        place.lake.files("latents", **place.keys)
        site = place.lake.location("explorer")
        report = write_explorer(place.lake, site, place.run, place.hookpoint)
        return materialized(
            served, "explorer", report, path=dg.MetadataValue.path(str(report.facts["path"]))
        )

    return materialize
