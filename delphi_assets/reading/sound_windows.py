"""What must hold of examples before an LLM is paid to look at them.

In: a selection of a hookpoint's examples, and latents of it. Out: nothing, or a `DataError` that
names the invariant, the first windows that violate it and the way out (`check_windows`).

The invariants are statements of `sql/checks/`, which return what violates them.
"""

from typing import NamedTuple

from delphi_assets.errors import DataError
from delphi_assets.lake import database
from delphi_assets.latent_ranges import Latents
from delphi_assets.reading.records import SelectionPlace

_ROWS_NAMED = 3

WAY_OUT = (
    "The selection was made from other activations than are there now, or its files were changed. "
    "Select the windows again under another `name` (Launchpad of `examples`) and use that "
    "`selection`; explanations and scores made from this one are not to be trusted."
)


class WindowInvariant(NamedTuple):
    """Something that makes answers about windows worthless where it does not hold."""

    statement: str
    holds: str
    """The invariant, as a sentence."""
    consequence: str
    """What a violation does to the answers, as a sentence."""


WINDOW_INVARIANTS = (
    WindowInvariant(
        "shared_positions",
        "Train and test windows of a latent share no token position.",
        "The scorers would be shown what the explainer saw.",
    ),
    WindowInvariant(
        "loud_negatives",
        "A latent is silent on every token of its non-activating windows.",
        "A right answer on these windows would count as wrong.",
    ),
    WindowInvariant(
        "repeated_negatives",
        "No non-activating window is given twice to one latent.",
        "Their answers would count twice.",
    ),
)


def check_windows(place: SelectionPlace, latents: Latents) -> None:
    """Refuse to pay for answers about windows that violate an invariant.

    Looks at the latents between the first and the last that is asked for, and at all when none is
    named. Raises `DataError`.
    """
    first = min((start for start, _ in latents.ranges), default=None)
    last = max((end for _, end in latents.ranges), default=None)
    with database.connect(place.lake, up_to_date=False) as con:
        for invariant in WINDOW_INVARIANTS:
            found = database.query(
                con,
                f"checks/{invariant.statement}",
                run=place.run,
                hookpoint=place.hookpoint,
                selection=place.selection,
                first_latent=first,
                last_latent=None if last is None else last - 1,
                n_rows=_ROWS_NAMED,
            ).to_pylist()
            if found:
                shown = "; ".join(
                    ", ".join(f"{name} {value}" for name, value in row.items()) for row in found
                )
                raise DataError(
                    f"examples of run {place.run!r} at {place.hookpoint!r} violate "
                    f"{invariant.statement}: {shown}. Expected: {invariant.holds} Nothing was "
                    f"asked. {invariant.consequence} {WAY_OUT}"
                )
