"""Asset checks `files_present`: the files of an asset's tables are there, as they were written.

The history of Dagster says what was launched; whether its files are still there is looked up here,
by the manifests. What `captured` writes is taken away by `activations`, `scores` is a view, and the
site of `explorer` is no table: these have none.
"""

import dagster as dg
import pyarrow as pa

from dagster_project import markdown
from dagster_project.hookpoint_checks import VIOLATIONS, hookpoint_check
from dagster_project.served_run import ServedRun
from delphi_assets.lake.place import Place, RunPlace
from delphi_assets.lake.presence import presence

NAME = "files_present"
OF_HOOKPOINTS = (
    "sparse_coder",
    "activations",
    "neighbours",
    "latents",
    "examples",
    "explanations",
    "labels",
    "predictions",
)
"""Assets that keep tables and are cut by hookpoint; `contexts` is not."""

_SHOWN, _NAMED = 20, 3
_DESCRIPTION = "Every file of the asset's tables is there and as large as it was written."
_ADVICE = (
    "Somebody moved or cut files of the lake. Bring them back from a copy, or materialize the "
    "asset again: what is missing is written anew. `delphi-assets verify` reads every file."
)


def look(asset: str, place: RunPlace) -> dg.AssetCheckResult:
    """What there is of the files of an asset; at a hookpoint where `place` is one."""
    hookpoint = place.hookpoint if isinstance(place, Place) else None
    found = presence(place.lake, asset, place.run, hookpoint)
    where = hookpoint or place.run
    numbers = {VIOLATIONS: len(found.damages), "n_files": found.n_files}
    if not found.damages:
        return dg.AssetCheckResult(
            passed=True, description=f"{found.n_files:,} files at {where}.", metadata=numbers
        )
    rows = pa.Table.from_pylist([damage._asdict() for damage in found.damages[:_SHOWN]])
    named = "\n".join(f"- {markdown.escaped(one.what)}" for one in found.damages[:_NAMED])
    many = f"{len(found.damages):,} of {found.n_files:,} files at {where}"
    return dg.AssetCheckResult(
        passed=False,
        description=f"{many}. {_ADVICE}\n\n{named}",
        metadata={**numbers, "violations": markdown.table(rows)},
    )


def file_checks(served: ServedRun) -> list[dg.AssetChecksDefinition]:
    """The checks of a run."""
    return [_of_contexts(served), *(_of_hookpoints(served, asset) for asset in OF_HOOKPOINTS)]


def _of_hookpoints(served: ServedRun, asset: str) -> dg.AssetChecksDefinition:
    return hookpoint_check(
        served, asset, NAME, _DESCRIPTION, lambda instance, place: look(asset, place)
    )


def _of_contexts(served: ServedRun) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=served.key("contexts"),
        name=NAME,
        description=_DESCRIPTION,
        required_resource_keys=served.resource_keys,
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return look("contexts", served.opened(context.op_execution_context))

    return check
