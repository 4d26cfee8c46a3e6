"""Asset checks: invariants of the tables, each a statement in `sql/checks/`.

A statement returns the rows that violate its invariant; the check passes when there is none and
shows the first of them otherwise. It looks at the hookpoint of the run that materialized the asset,
or at all hookpoints when it is run alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import dagster as dg
import pyarrow as pa

from dagster_project import plots
from dagster_project.assets.examples import examples
from dagster_project.assets.explanations import explanations
from dagster_project.assets.latents import latents
from dagster_project.assets.predictions import predictions
from dagster_project.profile import PROFILE, open_lake
from delphi_assets.database import Parameter, connect, query

ROWS_SHOWN = 20
MOST_FAILURES = 0.1
"""Largest share of failed explanations or predictions that is not worth a warning."""


class Invariant(NamedTuple):
    """What must hold for an asset, and the statement that finds where it does not."""

    asset: dg.AssetsDefinition
    statement: str
    description: str
    blocking: bool = False
    """Whether what follows must not be computed (and paid for) on data that violates it."""
    parameters: tuple[tuple[str, Parameter], ...] = ()
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


_FAILURES = (("most", MOST_FAILURES),)

INVARIANTS: Sequence[Invariant] = (
    Invariant(latents, "missing_latents", "Every latent of the coder has a row in `latents`."),
    Invariant(
        examples,
        "shared_positions",
        "Train and test windows of a latent share no token position.",
        blocking=True,
    ),
    Invariant(
        examples,
        "loud_negatives",
        "A latent is silent on every token of its non-activating windows.",
        blocking=True,
    ),
    Invariant(
        examples,
        "repeated_negatives",
        "No non-activating window is given twice to one latent.",
        blocking=True,
    ),
    Invariant(examples, "orphan_examples", "Every example is of a latent in `latents`."),
    Invariant(
        examples,
        "short_selections",
        "Every latent got as many windows as the selection asks for.",
        severity=dg.AssetCheckSeverity.WARN,
    ),
    Invariant(
        explanations, "orphan_explanations", "Every explanation is of a latent in `latents`."
    ),
    Invariant(
        explanations,
        "failed_explanations",
        f"At most {MOST_FAILURES:.0%} of an explainer's explanations failed.",
        parameters=_FAILURES,
        severity=dg.AssetCheckSeverity.WARN,
    ),
    Invariant(
        predictions,
        "orphan_predictions",
        "Every prediction judges an explanation and a window that are there.",
    ),
    Invariant(
        predictions,
        "failed_predictions",
        f"At most {MOST_FAILURES:.0%} of a scorer's predictions failed.",
        parameters=_FAILURES,
        severity=dg.AssetCheckSeverity.WARN,
    ),
)


def violations(invariant: Invariant, hookpoints: Sequence[str]) -> pa.Table:
    """The first rows of the lake that violate `invariant` at the given hookpoints."""
    with connect(open_lake()) as con:
        return pa.concat_tables(
            query(
                con,
                f"checks/{invariant.statement}",
                run=PROFILE.run.name,
                hookpoint=hookpoint,
                n_rows=ROWS_SHOWN,
                **dict(invariant.parameters),
            )
            for hookpoint in hookpoints
        )


def _check(invariant: Invariant) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=invariant.asset,
        name=invariant.statement,
        description=invariant.description,
        blocking=invariant.blocking,
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        run = context.op_execution_context
        hookpoints = [run.partition_key] if run.has_partition_key else PROFILE.cache.hookpoints
        found = violations(invariant, hookpoints)
        shown = plots.table(found.slice(0, ROWS_SHOWN))
        return dg.AssetCheckResult(
            passed=not found.num_rows,
            severity=invariant.severity,
            metadata={"hookpoints": list(hookpoints)} | ({"violations": shown} if shown else {}),
        )

    return check


CHECKS = [_check(invariant) for invariant in INVARIANTS]
