"""Asset checks: invariants of the tables, each a statement in `sql/checks/`.

A statement returns the rows that violate its invariant; the check passes when there is none.
Otherwise its message says what that means, what to do, and shows the first rows. It looks at the
hookpoint of the run that materialized the asset, or at all hookpoints when it is run alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import dagster as dg
import pyarrow as pa

from dagster_project import markdown
from dagster_project.assets.examples import examples
from dagster_project.assets.explanations import explanations
from dagster_project.assets.labels import labels
from dagster_project.assets.latents import latents
from dagster_project.assets.predictions import predictions
from dagster_project.profile import PROFILE, keys_of, open_lake
from delphi_assets.lake.database import Parameter, connect, query

ROWS_SHOWN, ROWS_IN_MESSAGE = 20, 3
MOST_FAILURES = 0.1
"""Largest share of failed explanations or predictions that is not worth a warning."""


class Invariant(NamedTuple):
    """What must hold for an asset, and the statement that finds where it does not."""

    asset: dg.AssetsDefinition | dg.AssetSpec
    statement: str
    description: str
    advice: str
    """What a violation means and what to do."""
    blocking: bool = False
    """Whether what follows must not be computed (and paid for) on data that violates it."""
    parameters: tuple[tuple[str, Parameter], ...] = ()
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


_FAILURES = (("most", MOST_FAILURES),)
_MIXED = (
    "The selection was made from other activations than are there now, or its files were changed. "
    "Select the windows again under another `name` (Launchpad of `examples`) and use that "
    "`selection`; explanations and scores made from this one are not to be trusted."
)

INVARIANTS: Sequence[Invariant] = (
    Invariant(
        latents,
        "silent_hookpoint",
        "Some latent of the coder fires.",
        "There is nothing to explain. Usually the coder belongs to another model or hookpoint "
        "(layer, side, how inputs are normalized), or its weights are zeros: look at "
        "`decoder_norm` and `encoder_bias`. Give the run with the right coder another `run.name`.",
        blocking=True,
    ),
    Invariant(
        latents,
        "missing_latents",
        "Every latent of the coder has a row in `latents`.",
        "`latents` was described from another coder than `sparse_coder` holds, or its file was "
        "changed. Materialize `sparse_coder`, then `latents`, at this hookpoint.",
    ),
    Invariant(
        examples,
        "shared_positions",
        "Train and test windows of a latent share no token position.",
        f"The scorers would be shown what the explainer saw. {_MIXED}",
        blocking=True,
    ),
    Invariant(
        examples,
        "loud_negatives",
        "A latent is silent on every token of its non-activating windows.",
        f"A right answer on these windows would count as wrong. {_MIXED}",
        blocking=True,
    ),
    Invariant(
        examples,
        "repeated_negatives",
        "No non-activating window is given twice to one latent.",
        f"Their answers would count twice. {_MIXED}",
        blocking=True,
    ),
    Invariant(
        examples,
        "orphan_examples",
        "Every example is of a latent in `latents`.",
        "`latents` was written again with fewer latents, or lacks its file. Materialize `latents` "
        "at this hookpoint.",
    ),
    Invariant(
        examples,
        "short_selections",
        "Every latent got as many windows as the selection asks for.",
        "The columns `reason` and `lacking` say what ran out; nothing is wrong with the other "
        "latents. Those below `min_examples` have no windows and are not explained; the rest have "
        "fewer windows and wider intervals. To have more: cache more tokens (`cache.n_tokens`, in "
        "another run), lower `min_examples` or the numbers of windows, or add a source to "
        "`non_activating_source` (Launchpad of `examples`, under another `name`).",
        severity=dg.AssetCheckSeverity.WARN,
    ),
    Invariant(
        explanations,
        "orphan_explanations",
        "Every explanation is of a latent in `latents`.",
        "`latents` lacks rows that it had when these were written. Materialize `latents` at this "
        "hookpoint; the explanations stay.",
    ),
    Invariant(
        explanations,
        "failed_explanations",
        f"At most {MOST_FAILURES:.0%} of an explainer's explanations failed.",
        "Look at `most_frequent_failure`. timeout, connection, rate_limit, server_error, rejected: "
        "launch the job `retry_failures`, with a smaller `llm.max_concurrent` or a "
        "`llm.requests_per_minute` where the server was busy. truncated: raise `llm.max_tokens`. "
        "unparseable, empty: try another model or prompt, or `llm.json_schema`. The table "
        "`completions` holds the answers.",
        parameters=_FAILURES,
        severity=dg.AssetCheckSeverity.WARN,
    ),
    Invariant(
        labels,
        "orphan_labels",
        "Every label is of a latent in `latents`.",
        "They were added before `latents` was described here, or it was written again with fewer. "
        "Materialize `latents`; or withdraw them (`delphi-assets remove-labels LAKE --source "
        "NAME`) and add them where they belong.",
    ),
    Invariant(
        predictions,
        "orphan_predictions",
        "Every prediction judges an explanation and a window that are there.",
        "Files of `explanations` or `examples` were removed after these were scored. Bring them "
        "back from a copy of the lake, or leave these predictions out of any comparison.",
    ),
    Invariant(
        predictions,
        "failed_predictions",
        f"At most {MOST_FAILURES:.0%} of a scorer's predictions failed.",
        "Scores leave failed answers out, so they may flatter. Look at `most_frequent_failure`. "
        "timeout, connection, rate_limit, server_error, rejected: launch the job "
        "`retry_failures`. wrong_count, unparseable: ask about fewer examples a prompt "
        "(`num_examples_per_scorer_prompt`) or set `llm.json_schema`. truncated: raise "
        "`llm.max_tokens`. The table `completions` holds the answers.",
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
                **keys_of(hookpoint),
                n_rows=ROWS_SHOWN,
                **dict(invariant.parameters),
            )
            for hookpoint in hookpoints
        )


def message(invariant: Invariant, found: pa.Table, hookpoints: Sequence[str]) -> str:
    """What a person reads: Markdown."""
    where = ", ".join(hookpoints)
    if not found.num_rows:
        return f"Holds at {where}."
    many = (
        f"{found.num_rows} or more rows"
        if found.num_rows >= ROWS_SHOWN
        else (f"{found.num_rows} row{'s' * (found.num_rows > 1)}")
    )
    rows = markdown.table(found.slice(0, ROWS_IN_MESSAGE))
    assert rows is not None, "there is a row"
    return f"{many} at {where}. {invariant.advice}\n\n{rows.md_str}"


def _check(invariant: Invariant) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=invariant.asset.key,
        name=invariant.statement,
        description=invariant.description,
        blocking=invariant.blocking,
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        run = context.op_execution_context
        hookpoints = [run.partition_key] if run.has_partition_key else PROFILE.cache.hookpoints
        found = violations(invariant, hookpoints)
        shown = markdown.table(found.slice(0, ROWS_SHOWN))
        return dg.AssetCheckResult(
            passed=not found.num_rows,
            severity=invariant.severity,
            description=message(invariant, found, hookpoints),
            metadata={"violations": shown} if shown else {},
        )

    return check


CHECKS = [_check(invariant) for invariant in INVARIANTS]
