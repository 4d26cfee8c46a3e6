"""What the Dagster UI shows of a table and of a materialization.

`of_table` is known before anything runs: columns, name, place. `materialized` turns a stage's
report into a `MaterializeResult` under the names that the UI draws (`dagster/row_count`, ...).
Numbers become time series there: over the partitions, and over the launches of each.
"""

from dataclasses import replace
from typing import Any

import dagster as dg
import pyarrow as pa

from dagster_project.lineage import COLUMNS, column_lineage
from dagster_project.served_run import ServedRun
from delphi_assets.ground.stage import Fact, StageReport
from delphi_assets.lake.manifests import folder_of
from delphi_assets.lake.place import Place
from delphi_assets.lake.schema import Column, Table

OWNERS = ["team:interpretability"]
COST_POINTS, LATENTS_SHOWN = 100, 20
_RATE = "_per_second"

_CODE_VERSION, _INPUTS = "dagster/code_version", "dagster/input_"
"""Tags by which Dagster knows what a materialization was made by and from."""


def asset_tags(result: str, *, paid: bool = False) -> dict[str, str]:
    """Tags by which the UI filters: what an asset is, and whether launching it may cost money.

    `result` is table, view, site or source. Paid is what asks an LLM under some profile.
    """
    return {"cost": "paid" if paid else "free", "result": result}


def columns_of(table: Table) -> dg.TableSchema:
    """The columns of a table or view, as the UI shows them, with the columns that make them."""
    made_of = COLUMNS.get(table.name, {})

    def described(column: Column) -> str:
        sources = made_of.get(column.name)
        return column.doc if sources is None else f"{column.doc} (from {', '.join(sources)})"

    return dg.TableSchema(
        columns=[
            dg.TableColumn(column.name, str(column.type), described(column))
            for column in (*table.keys, *table.columns)
        ]
    )


def of_table(served: ServedRun, table: Table) -> dict[str, object]:
    """Definition metadata: column schema, table name and location of a table of the lake."""
    return {
        "dagster/column_schema": columns_of(table),
        "dagster/table_name": table.name,
        "dagster/uri": served.lake.location(f"{table.name}/run={served.run}"),
    }


def materialized(
    served: ServedRun,
    asset: str,
    report: StageReport,
    *,
    rows_as: str = "dagster/partition_row_count",
    context: dg.AssetExecutionContext | None = None,
    **extra: dg.MetadataValue[Any] | Fact | None,
) -> dg.MaterializeResult[None]:
    """`report` as a result; `extra` (plots, tables, numbers) is left out where it is None.

    What is looked at comes first, numbers after it. A launch that added nothing has no rates: they
    would draw a fall to zero.

    The materialization is of the version of its rows' code, which may be an earlier one; with a
    `context`, rows that stay though something before them has changed are of what they were made
    from. So what is out of date is not fresh for having been launched.
    """
    metadata: dict[str, Any] = {"outdated": report.outdated} if report.outdated else {}
    metadata |= {
        name: value for name, value in extra.items() if isinstance(value, dg.MetadataValue | str)
    }
    metadata |= {
        "run": served.run,
        rows_as: report.rows,
        "new_rows": report.new_rows,
        "seconds": round(report.seconds, 2),
    }
    if report.bytes:
        metadata["bytes"] = report.bytes
    if report.new_rows and report.seconds:
        metadata[f"rows{_RATE}"] = round(report.new_rows / report.seconds, 1)
    metadata |= {
        name: value
        for name, value in {**report.facts, **extra}.items()
        if value is not None and (report.new_rows or not name.endswith(_RATE))
    }
    if lineage := column_lineage(asset, served.key):
        metadata["dagster/column_lineage"] = lineage
    tags = _made_from(context) if context and report.outdated and not report.new_rows else {}
    if report.code_versions:
        metadata["code_version_of_rows"] = ", ".join(map(str, report.code_versions))
        tags |= {_CODE_VERSION: served.code_version(*report.code_versions)}
    version = None if report.data_version is None else dg.DataVersion(report.data_version)
    return dg.MaterializeResult(metadata=metadata, data_version=version, tags=tags)


def _made_from(context: dg.AssetExecutionContext) -> dict[str, str]:
    """What the last materialization of a partition says of the inputs that it was made from."""
    found = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(context.asset_key, asset_partitions=[context.partition_key]), limit=1
    ).records
    made = found[0].asset_materialization if found else None
    tags = (made.tags if made else None) or {}
    return {name: value for name, value in tags.items() if name.startswith(_INPUTS)}


def stored_bytes(table: Table, place: Place) -> int:
    """Bytes of a growing table at a hookpoint, of rows that later ones replace too."""
    return place.lake.bytes_in(folder_of(table.name, place.keys))


def with_cost(report: StageReport, points: pa.Table) -> StageReport:
    """The report of a stage that may ask an LLM, with tokens a second and the run's cost so far.

    `points` are the rows of `ui/cost_so_far`.
    """
    tokens = sum(int(report.facts.get(name, 0)) for name in ("prompt_tokens", "completion_tokens"))
    facts = dict(report.facts)
    if tokens:
        facts[f"llm_tokens{_RATE}"] = round(tokens / report.seconds, 1)
    so_far = {row["model"]: row for row in points.to_pylist()}.values()
    facts |= {
        "run_dollars_so_far": round(sum(row["cost"] for row in so_far), 6),
        "run_calls_so_far": sum(row["n_calls"] for row in so_far),
        "run_llm_tokens_so_far": sum(row["n_tokens"] for row in so_far),
    }
    return replace(report, facts=facts)
