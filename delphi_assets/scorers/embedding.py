"""Embedding: is the explanation nearer to the windows in which the latent fires than to others?

The scorer is Delphi's (Paulo et al. 2024, arXiv:2410.13928, "embedding scoring"), which takes the
windows for documents and the explanation for a query. `value` is the cosine between the vectors
that a sentence encoder gives to the explanation and to the window's text; AUROC tells how well that
finds the windows in which the latent fires (`sql/scores/`). The items are those of `detection`.

An explanation is encoded as it is stored, a lexical one too; an empty one as an empty text.
"""

from collections.abc import Sequence

from delphi_assets.scorers import detection
from delphi_assets.scorers.judges.local_models import check_embedding_model
from delphi_assets.scorers.judges.similarity import Likeness, Vectors
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Scorer
from delphi_assets.scorers.work.scoring import Scoring

NAME = "embedding"


def embedding(scoring: Scoring) -> Scorer[Item]:
    """The scorer; raises `SettingError` for a sentence encoder that cannot be one."""
    check_embedding_model(scoring.settings.embedding_model)
    return Scorer(
        name=NAME,
        items=lambda record, _: detection.items(record, scoring.latent_seed(record.latent)),
        n_items=sum,
        judge=Embedding(scoring),
    )


class Embedding(Likeness[Item]):
    """Likeness to the explanation."""

    def likened(self, explained: Explained, items: Sequence[Item]) -> Vectors:
        """The explanation's vector."""
        vector: Vectors = self.encode([explained.explanation])[0]
        return vector
