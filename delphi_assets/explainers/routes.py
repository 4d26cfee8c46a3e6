"""Routes: latents that need no LLM, as what their train windows show can be said in a sentence.

In: terms, and latents that an LLM would be asked about. Out: a `Routed` for each of them that one
of the routes of `explain.routes` fits: its label, and the numbers that are the reason.

    dense       it fires on so many tokens that no pattern is left to be told
    position    it fires on the first token of contexts, whatever that is
    token       one token carries its activation, and it fires on most occurrences of that token
    word        the same for a few forms of one word

`sql/explanations/routes.sql` decides, by thresholds that are settings.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from delphi_assets.explainers.terms import Terms
from delphi_assets.lake import database
from delphi_assets.reading.in_words import shown

ROUTES = "routes"
"""In the place of a model's name, and of a hash of its prompt."""

_MOST_FORMS = 5
"""Forms of a word that its label names."""


class Routed(NamedTuple):
    """A label that was made without an LLM."""

    route: str
    text: str
    reason: str
    n_shown: int
    """Activating train windows that it was made from."""


def routed(terms: Terms, latents: Collection[int]) -> dict[int, Routed]:
    """Labels by latent, for those of `latents` that a route of the settings fits."""
    settings = terms.settings
    if not settings.routes or not latents:
        return {}
    with database.connect(terms.lake, up_to_date=False) as con:
        rows = database.query(
            con,
            "explanations/routes",
            **terms.keys,
            files=terms.examples.files(),
            first=min(latents),
            last=max(latents) + 1,
            share=settings.route_share,
            recall=settings.route_recall,
            density=settings.route_density,
        ).to_pylist()
    asked_for = set(latents)
    return {
        row["latent"]: Routed(row["route"], _label(row), _reason(row), row["n_shown"])
        for row in rows
        if row["latent"] in asked_for and row["route"] in settings.routes
    }


def _label(row: Mapping[str, Any]) -> str:
    route = row["route"]
    if route == "dense":
        return f"No one pattern: it fires on {row['density']:.0%} of all tokens."
    if route == "position":
        return "The first token of a context, whatever it is."
    forms = list(dict.fromkeys(map(shown, row["forms"])))
    if route == "token" or len(forms) == 1:
        return _sentence(forms[0])
    return f"{_sentence(forms[0])[:-1]}, also as {_listed(forms[1 : 1 + _MOST_FORMS])}."


def _sentence(form: str) -> str:
    """A form with a capital letter, or what it is before its quotes."""
    return f"The token {form}." if form.startswith("“") else f"{form.capitalize()}."


def _listed(forms: Sequence[str]) -> str:
    *first, last = forms
    return f"{', '.join(first)} or {last}" if first else last


def _reason(row: Mapping[str, Any]) -> str:
    share, recall = f"{row['share']:.0%}", f"{row['recall']:.0%}"
    form = shown(row["forms"][0])
    reasons = {
        "dense": f"it fires on {row['density']:.1%} of all tokens",
        "position": f"{row['first_token_share']:.0%} of its activation is on the first token of a "
        f"context, and it fires in {recall} of the contexts",
        "token": f"{share} of its activation in train windows is on {form}, and it fires on "
        f"{recall} of that token's occurrences",
        "word": f"{share} of its activation in train windows is on {len(row['forms'])} forms of "
        f"one word, and it fires on {recall} of the occurrences of {form}",
    }
    return reasons[row["route"]]
