"""Example embedding: are the windows in which a latent fires alike? It needs no explanation.

After Delphi's scorer of this name: how far a latent's windows can be told from others by their
text's likeness alone, which an explanation has to beat. `value` is the mean of the cosines between
the test window's vector and those of the latent's train windows. That is the cosine with the mean
of their vectors, but for a factor that is the same for all windows of the latent: AUROC, which is
what `sql/scores/` makes of it, would be the same, and the mean can be read as it stands.

The items are those of `detection`; train windows are those that explainers see.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from delphi_assets.reading.records import LatentRecord
from delphi_assets.scorers import detection
from delphi_assets.scorers.judges.local_models import check_embedding_model
from delphi_assets.scorers.judges.similarity import Likeness, Vectors
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Scorer
from delphi_assets.scorers.work.scoring import Scoring

NAME = "example_embedding"


@dataclass(frozen=True)
class Compared(Item):
    """A test window, and the texts of the windows that it is compared with."""

    train: tuple[str, ...] = ()


def example_embedding(scoring: Scoring) -> Scorer[Compared]:
    """The scorer; raises `SettingError` for a sentence encoder that cannot be one."""
    check_embedding_model(scoring.settings.embedding_model)
    return Scorer(
        name=NAME,
        items=lambda record, _: _items(scoring, record),
        n_items=sum,
        judge=ExampleEmbedding(scoring),
        needs_explanation=False,
        controls=(),
    )


def _items(scoring: Scoring, record: LatentRecord) -> list[Compared]:
    train = tuple(scoring.text(example.str_tokens) for example in record.train)
    if not train:
        return []
    items = detection.items(record, scoring.latent_seed(record.latent))
    return [Compared(**vars(item), train=train) for item in items]


class ExampleEmbedding(Likeness[Compared]):
    """Likeness to the train windows."""

    def likened(self, explained: Explained, items: Sequence[Compared]) -> Vectors:
        """The mean of their vectors."""
        mean: Vectors = self.encode(list(items[0].train)).mean(axis=0)
        return mean
