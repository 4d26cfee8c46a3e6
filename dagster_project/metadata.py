"""What the Dagster UI shows of a table and of a materialization.

`of_table` is known before anything runs: columns, name, place. `materialized` turns a stage's
report into a `MaterializeResult` under the names that the UI draws (`dagster/row_count`, ...).
"""

from typing import Any

import dagster as dg

from dagster_project.profile import PROFILE, open_lake
from delphi_assets.schema import Table
from delphi_assets.stage import StageReport

OWNERS = ["team:interpretability"]


def columns_of(table: Table) -> dg.TableSchema:
    """The columns of a table or view, as the UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(column.name, str(column.type), column.doc)
            for column in (*table.keys, *table.columns)
        ]
    )


def of_table(table: Table) -> dict[str, object]:
    """Definition metadata: column schema, table name and location of a table of the lake."""
    return {
        "dagster/column_schema": columns_of(table),
        "dagster/table_name": table.name,
        "dagster/uri": open_lake().location(f"{table.name}/run={PROFILE.run.name}"),
    }


def materialized(
    report: StageReport,
    *,
    rows_as: str = "dagster/partition_row_count",
    **extra: dg.MetadataValue[Any] | None,
) -> dg.MaterializeResult[None]:
    """`report` as a result; `extra` (plots, tables) is left out where it is None."""
    metadata: dict[str, Any] = {
        rows_as: report.rows,
        "new_rows": report.new_rows,
        "bytes": report.bytes,
        "seconds": round(report.seconds, 2),
        **report.facts,
        **{name: value for name, value in extra.items() if value is not None},
    }
    return dg.MaterializeResult(metadata=metadata)
