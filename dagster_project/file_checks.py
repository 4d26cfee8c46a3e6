"""Asset checks `files_present`: the files of an asset's tables are there, as they were written.

The history of Dagster says what was launched; whether its files are still there is looked up here,
by the manifests. What `captured` writes is taken away by `activations`, `scores` is a view, and the
site of `explorer` is no table: these have none.
"""

import dagster as dg
import pyarrow as pa

from dagster_project import markdown
from dagster_project.hookpoint_checks import VIOLATIONS, hookpoint_check
from dagster_project.profile import PROFILE, open_lake
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


def look(asset: str, hookpoint: str | None = None) -> dg.AssetCheckResult:
    """What there is of the files of an asset, at a hookpoint where it is cut by hookpoint."""
    found = presence(open_lake(), asset, PROFILE.run.name, hookpoint)
    where = hookpoint or PROFILE.run.name
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


def _of_hookpoints(asset: str) -> dg.AssetChecksDefinition:
    return hookpoint_check(
        dg.AssetKey(asset), NAME, _DESCRIPTION, lambda instance, hookpoint: look(asset, hookpoint)
    )


@dg.asset_check(asset="contexts", name=NAME, description=_DESCRIPTION)
def _of_contexts() -> dg.AssetCheckResult:
    return look("contexts")


FILE_CHECKS = [_of_contexts, *map(_of_hookpoints, OF_HOOKPOINTS)]
