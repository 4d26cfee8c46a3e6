"""Asset `explorer`: a static site about a hookpoint's latents, beside the tables of the lake."""

import dagster as dg

from dagster_project.assets.examples import examples
from dagster_project.assets.labels import labels
from dagster_project.assets.latents import latents
from dagster_project.assets.neighbours import neighbours
from dagster_project.assets.scores import scores
from dagster_project.metadata import OWNERS, asset_tags, materialized
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, keys_of, open_lake


@dg.asset(
    group_name="scoring",
    description="A site to look at the latents of a hookpoint: overview, list, a page a latent.\n\n"
    "**In:** everything the lake says of them: `latents`, `neighbours`, `examples`, "
    "`explanations`, `predictions`, `scores`, `labels`. **Out:** files in the lake's folder "
    "`explorer`; open its `index.html` from disk, or serve the folder. It is not a table: it shows "
    "the lake as it was when it was written, so launch it again after more was explained, scored "
    "or labelled. **Cost:** some seconds for a thousand latents. **Look at:** `path`.",
    kinds={"duckdb", "javascript"},
    owners=OWNERS,
    tags=asset_tags("site"),
    code_version="1",
    # Nobody has to add labels, and Dagster does not see those that somebody adds.
    automation_condition=dg.AutomationCondition.eager().ignore(dg.AssetSelection.assets("labels")),
    partitions_def=HOOKPOINTS,
    deps=[latents, neighbours, examples, scores, labels],
    metadata={"dagster/uri": open_lake().location("explorer/index.html")},
)
def explorer(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """One hookpoint a partition; the site keeps the others."""
    from delphi_assets.explorer import write_explorer

    lake = open_lake()
    # A site can be of explanations alone, as of an imported run; here it is what it says it is.
    lake.files("latents", **keys_of(context.partition_key))
    site = lake.location("explorer")
    report = write_explorer(lake, site, PROFILE.run.name, context.partition_key)
    return materialized("explorer", report, path=dg.MetadataValue.path(str(report.facts["path"])))
