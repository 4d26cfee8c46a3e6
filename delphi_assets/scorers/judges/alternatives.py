"""Explanations that an explanation is told from: those of the latents most like its own.

In: the tables neighbours and explanations. Out: for an explanation, a few others, the most like
first: of neighbours that have one by the same explainer, model and prompt.

Explanations by one explainer, model and prompt make a *family*. As it grows, an explanation may get
other alternatives, which makes another question of it. So a family has a name, which changes when
the alternatives of any of its members do.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from delphi_assets.errors import NotReadyError
from delphi_assets.ground.registries import NEIGHBOUR_METHODS
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.scorer import hash_of
from delphi_assets.scorers.work.scoring import Scoring

_Family = tuple[str, str, str | None]


class Alternatives:
    """Raises `NotReadyError` when the hookpoint has no neighbours."""

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self.method = _method(scoring)
        """How the neighbours were found: the first of the profile's methods that is there."""

    def of(self, explained: Explained) -> Sequence[Explained]:
        """The alternatives to one explanation; none where no neighbour is explained alike.

        Raises `NotReadyError` when that is so for every stored explanation.
        """
        if explained.explanation_id not in self._stored:
            return ()
        if not self._others:
            raise NotReadyError(
                f"no explanation of {self._scoring.where} has one of a neighbour beside it, by the "
                "same explainer, model and prompt; explain more latents first (explain.latents)."
            )
        return self._found(explained)

    def family(self, explained: Explained) -> str:
        """The name of the explanation's family, with the alternatives that there are now."""
        return self._families.get(_family_of(explained), "nothing")

    @cached_property
    def _families(self) -> dict[_Family, str]:
        """Hashes of who is told from whom, by latent: the same for another selection of examples.

        A latent's explanations in the family are counted, for the last of several is the one shown.
        """
        n_of_latent = Counter((_family_of(one), one.latent) for one in self._stored.values())
        told_from: dict[_Family, dict[int, list[tuple[int, int]]]] = {}
        for one in self._stored.values():
            family, others = _family_of(one), [other.latent for other in self._found(one)]
            told_from.setdefault(family, {})[one.latent] = [
                (other, n_of_latent[family, other]) for other in others
            ]
        return {family: hash_of(told_from=told) for family, told in told_from.items()}

    def _found(self, explained: Explained) -> list[Explained]:
        return [self._stored[other] for other in self._others.get(explained.explanation_id, ())]

    @cached_property
    def _stored(self) -> dict[str, Explained]:
        rows = self._scoring.query("predictions/explanations", explainer=None)
        return {str(row["explanation_id"]): Explained(**row) for row in rows}  # type: ignore[arg-type]

    @cached_property
    def _others(self) -> dict[str, list[str]]:
        """Ids of alternatives, by the id of the explanation."""
        settings = self._scoring.settings
        rows = self._scoring.query(
            "predictions/alternatives",
            method=self.method,
            n_alternatives=settings.discrimination_alternatives,
        )
        return {str(row["explanation_id"]): row["alternatives"] for row in rows}  # type: ignore[misc]


def _family_of(explained: Explained) -> _Family:
    return explained.explainer, explained.explainer_model, explained.prompt_hash


def _method(scoring: Scoring) -> str:
    manifests = scoring.lake.manifests("neighbours", **scoring.keys)
    there = {manifest.keys["method"] for manifest in manifests}
    for method in (*scoring.profile.neighbours.methods, *NEIGHBOUR_METHODS.shipped()):
        if method in there:
            return method
    raise NotReadyError(
        f"the scorer 'discrimination' takes its alternatives from the table neighbours, and "
        f"{scoring.lake!r} has none of {scoring.hookpoint!r} in run {scoring.run!r}; materialize "
        "the asset 'neighbours' first."
    )
