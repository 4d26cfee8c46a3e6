"""Asset checks: invariants of the tables, each a statement in `sql/checks/`.

A statement returns the rows that violate its invariant; the check passes when there is none.
Otherwise its message says what that means, what to do, and shows the first rows. A check has the
asset's partitions: every hookpoint keeps its own result. What is called blocking ends the launch it
fails in; a later launch looks at the same windows again before it pays an LLM
(`delphi_assets.reading.sound_windows`). Whether files are there is asked in `file_checks`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import dagster as dg
import pyarrow as pa

from dagster_project import markdown
from dagster_project.file_checks import file_checks
from dagster_project.hookpoint_checks import VIOLATIONS, hookpoint_check
from dagster_project.served_run import ServedRun
from delphi_assets.lake.database import Parameter, connect, query
from delphi_assets.lake.place import Place
from delphi_assets.prompts import worked_explanations
from delphi_assets.reading.sound_windows import WAY_OUT, WINDOW_INVARIANTS
from delphi_assets.runs.calibration.ways import CALIBRATED

ROWS_SHOWN, ROWS_IN_MESSAGE = 20, 3
ROWS_COUNTED = 1_000_000
"""Most violations of a hookpoint that are counted; more are told as so many."""
MOST_FAILURES = 0.1
"""Largest share of failed explanations or predictions that is not worth a warning."""


class Invariant(NamedTuple):
    """What must hold for an asset, and the statement that finds where it does not."""

    asset: str
    statement: str
    description: str
    advice: str
    """What a violation means and what to do."""
    blocking: bool = False
    """Whether what follows must not be computed (and paid for) on data that violates it."""
    of_selection: bool = False
    """Whether it is about the selection that was launched last, not about all of them."""
    parameters: tuple[tuple[str, Parameter], ...] = ()
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


_FAILURES = (("most", MOST_FAILURES),)

INVARIANTS: Sequence[Invariant] = (
    Invariant(
        "latents",
        "silent_hookpoint",
        "Some latent of the coder fires.",
        "There is nothing to explain. Usually the coder belongs to another model or hookpoint "
        "(layer, side, how inputs are normalized), or its weights are zeros: look at "
        "`decoder_norm` and `encoder_bias`. Give the run with the right coder another `run.name`.",
        blocking=True,
    ),
    Invariant(
        "latents",
        "missing_latents",
        "Every latent of the coder has a row in `latents`.",
        "`latents` was described from another coder than `sparse_coder` holds, or its file was "
        "changed. Materialize `sparse_coder`, then `latents`, at this hookpoint.",
    ),
    *(
        Invariant(
            "examples",
            invariant.statement,
            invariant.holds,
            f"{invariant.consequence} {WAY_OUT}",
            blocking=True,
            of_selection=True,
        )
        for invariant in WINDOW_INVARIANTS
    ),
    Invariant(
        "examples",
        "orphan_examples",
        "Every example is of a latent in `latents`.",
        "`latents` was written again with fewer latents, or lacks its file. Materialize `latents` "
        "at this hookpoint.",
    ),
    Invariant(
        "examples",
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
        "explanations",
        "orphan_explanations",
        "Every explanation is of a latent in `latents`.",
        "`latents` lacks rows that it had when these were written. Materialize `latents` at this "
        "hookpoint; the explanations stay.",
    ),
    Invariant(
        "explanations",
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
        "explanations",
        "echoed_examples",
        "No explanation repeats a worked example of the shipped prompts.",
        "The LLM copied an example that it was shown instead of looking at the latent: do not "
        "believe these texts, whatever they score. Try a larger model, or prompts without worked "
        "examples (`explain.prompts`).",
        parameters=(("worked", worked_explanations()),),
        severity=dg.AssetCheckSeverity.WARN,
    ),
    Invariant(
        "labels",
        "orphan_labels",
        "Every label is of a latent in `latents`.",
        "They were added before `latents` was described here, or it was written again with fewer. "
        "Materialize `latents`; or withdraw them (`delphi-assets remove-labels LAKE --source "
        "NAME`) and add them where they belong.",
    ),
    Invariant(
        "predictions",
        "orphan_predictions",
        "Every prediction judges an explanation and a window that are there.",
        "Files of `explanations` or `examples` were removed after these were scored. Bring them "
        "back from a copy of the lake, or leave these predictions out of any comparison.",
    ),
    Invariant(
        "predictions",
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
    Invariant(
        "predictions",
        "uncalibrated_judges",
        "Every LLM that judged detection or fuzz tells planted windows apart.",
        "A judge that knows nothing looks like bad explanations. Never calibrated, or on too few "
        "latents: give `delphi-assets calibrate PROFILE` with the profile that is scored with, "
        "with more `--tokens`. At chance: ask in another way (`score.answer`, "
        "`score.num_examples_per_scorer_prompt`: the table `judges` says which is best) or another "
        "LLM, and do not read these scores. Judges that count are no LLM and have no card.",
        parameters=(("scorers", [*CALIBRATED]),),
        severity=dg.AssetCheckSeverity.WARN,
    ),
)


class Found(NamedTuple):
    """What violates an invariant at a hookpoint."""

    hookpoint: str
    n_rows: int
    first: pa.Table
    """The first of them, up to `ROWS_SHOWN`."""


def violations(invariant: Invariant, place: Place, selection: str | None = None) -> Found:
    """What violates `invariant` at a hookpoint; without a `selection` in all of them."""
    parameters = {**place.keys, **dict(invariant.parameters)}
    if invariant.of_selection:
        parameters |= {"selection": selection, "first_latent": None, "last_latent": None}
    name = f"checks/{invariant.statement}"
    with connect(place.lake) as con:
        first = query(con, name, **parameters, n_rows=ROWS_SHOWN)
        n_rows = first.num_rows
        if n_rows == ROWS_SHOWN:
            n_rows = query(con, name, **parameters, n_rows=ROWS_COUNTED).num_rows
    return Found(place.hookpoint, n_rows, first)


def message(invariant: Invariant, found: Found) -> str:
    """What a person reads: Markdown."""
    if not found.n_rows:
        return f"Holds at {found.hookpoint}."
    rows = markdown.table(found.first.slice(0, ROWS_IN_MESSAGE))
    assert rows is not None, "there is a row"
    many = f"{found.n_rows:,} row{'s' * (found.n_rows > 1)}"
    return f"{many} at {found.hookpoint}. {invariant.advice}\n\n{rows.md_str}"


def checks_of(served: ServedRun) -> list[dg.AssetChecksDefinition]:
    """The checks of a run."""
    return [*(_check(served, invariant) for invariant in INVARIANTS), *file_checks(served)]


def _check(served: ServedRun, invariant: Invariant) -> dg.AssetChecksDefinition:
    examples = served.key("examples")

    def look(instance: dg.DagsterInstance, place: Place) -> dg.AssetCheckResult:
        of_selection = invariant.of_selection
        told = _launched_selection(instance, examples, place.hookpoint) if of_selection else None
        found = violations(invariant, place, told)
        shown = markdown.table(found.first)
        return dg.AssetCheckResult(
            passed=not found.n_rows,
            severity=invariant.severity,
            description=message(invariant, found),
            metadata={VIOLATIONS: found.n_rows} | ({"violations": shown} if shown else {}),
        )

    asset, name, description = invariant.asset, invariant.statement, invariant.description
    return hookpoint_check(served, asset, name, description, look, blocking=invariant.blocking)


def _launched_selection(
    instance: dg.DagsterInstance, examples: dg.AssetKey, hookpoint: str
) -> str | None:
    """Name of the selection that `examples` wrote last at a hookpoint, as far as it is known."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(examples, asset_partitions=[hookpoint]), limit=1
    ).records
    made = records[0].asset_materialization if records else None
    told = made.metadata.get("selection") if made else None
    return str(told.value) if told else None
