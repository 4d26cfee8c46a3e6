"""Judges by likeness of texts: what `embedding` and `example_embedding` have in common.

In: windows. Out: their vectors, of length 1, by the sentence encoder of `score.embedding_model`:
the product of two is the cosine of the angle between them.

The text of a window is that of its tokens, joined, special tokens left out.
"""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from delphi_assets.errors import DataError
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import AnItem
from delphi_assets.scorers.work.scorer import Answer, Computed, valued
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.settings import EMBEDDED_ENCODER

Vectors = NDArray[np.float32]


class Likeness(Computed[AnItem]):
    """A value an item: how much its window is like something."""

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self._latest: tuple[list[str], Vectors] = ([], np.empty((0, 0), np.float32))

    @property
    def model(self) -> str:
        """The encoder of the settings, the embedded one by its name."""
        name = self._scoring.settings.embedding_model
        return "embedded:all-MiniLM-L6-v2" if name == EMBEDDED_ENCODER else name

    @property
    def judge_hash(self) -> str:
        """Nothing but the encoder can be changed: its fingerprint, once it was replaced."""
        other = self._scoring.other_sentence_encoder
        return "cosine" if other is None else f"cosine by {other[:12]}"

    @abstractmethod
    def likened(self, explained: Explained, items: Sequence[AnItem]) -> Vectors:
        """What windows are compared with: one vector [d] for all of them."""

    def answer(self, explained: Explained, items: Sequence[AnItem]) -> Sequence[Answer]:
        """A value an item, from -1 to 1."""
        if not items:
            return []
        windows = [self._scoring.text(item.str_tokens) for item in items]
        if self._latest[0] != windows:
            self._latest = windows, self.encode(windows)
        values = self._latest[1] @ self.likened(explained, items)
        return [valued(value) for value in values.tolist()]

    def encode(self, texts: list[str]) -> Vectors:
        """Vectors [texts, d]; raises `DataError` for an encoder that cannot be loaded."""
        try:
            encoder = self._scoring.sentence_encoder
        except DataError as error:
            raise DataError(
                f"score.embedding_model = {self._scoring.settings.embedding_model!r} cannot be "
                f"used as a sentence encoder: {error}"
            ) from error
        return encoder.encode(texts)
