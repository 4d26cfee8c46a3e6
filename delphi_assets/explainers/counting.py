"""The lexical explainer: `lexical` counts which tokens carry a latent's activation.

In: the train windows of a latent. Out: a text, made here.
"""

from collections.abc import Callable

from delphi_assets.explainers.explainer import ComputedExplainer
from delphi_assets.explainers.terms import Terms
from delphi_assets.reading import lexical
from delphi_assets.reading.records import LatentRecord


class LexicalExplainer(ComputedExplainer):
    """See above."""

    def prompt_hash(self, terms: Terms) -> str:
        """Its name: it has no settings."""
        return "lexical"

    def open(self, terms: Terms) -> Callable[[LatentRecord], str]:
        """Reads the counts of the run's corpus, once."""
        counts = lexical.read_counts(terms.lake, terms.run)
        return lambda record: lexical.explain(record, counts)


LEXICAL = LexicalExplainer()
