"""A causal language model in memory, read for the log-probabilities of given tokens.

In: a model of the Hugging Face hub, a folder in its layout, or the embedded Gemma; a prefix, and
texts that follow it. Out: natural logarithms of probabilities.

1. The prefix goes through the model once. Its keys and values are kept, all but the last token's.
2. The texts go through in batches, short ones first, each behind a copy of those keys and values.
3. The matrix that gives logits, the larger half of a small model, is applied only in the places
   that are asked about. The log-softmax is taken in single precision.

A batch is bounded by its tokens, prefixes counted, and by its logits: 256 MiB of them at most,
unless one text alone has more.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from delphi_assets.errors import DataError
from delphi_assets.models.embedded import GEMMA, gemma_folder
from delphi_assets.models.subject import leading_bos, pick_device

_BATCH_TOKENS = 8_192
_BATCH_LOGITS = 2**26


class Query(NamedTuple):
    """What is asked about a text that follows the prefix."""

    tokens: Sequence[int]
    """Ids of the text."""
    places: Sequence[int]
    """Indices into `tokens`: the model is asked what stands there, knowing all that is before."""
    candidates: Sequence[Sequence[int]]
    """For each place, the ids whose log-probabilities are wanted; as many in all queries."""


@dataclass(frozen=True)
class CausalModel:
    """A tokenizer and a model on its device."""

    tokenizer: Any
    model: Any

    def ids(self, *texts: str) -> list[list[int]]:
        """Ids of pieces of text, each for itself, without special tokens."""
        cut = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)
        return [list(ids) for ids in cut["input_ids"]]

    def beginning(self, text: str) -> list[int]:
        """Ids of a text that begins a context, behind BOS where the model expects one."""
        bos = leading_bos(self.tokenizer)
        return ([] if bos is None else [bos]) + self.ids(text)[0]

    @property
    def longest(self) -> int:
        """Most tokens that the model takes."""
        positions = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return int(positions or 2**31)

    def log_probabilities(
        self, prefix: Sequence[int], queries: Sequence[Query]
    ) -> list[NDArray[np.float32]]:
        """For each query, log-probabilities [places, candidates]; `prefix` has two ids or more.

        Raises `DataError` for a model that does not hand out its keys and values.
        """
        answers: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(queries)
        kept = None
        for batch in self._batches(len(prefix), queries):
            kept = self._read(prefix[:-1]) if kept is None else kept
            read = self._ask(kept, len(prefix) - 1, prefix[-1], [queries[one] for one in batch])
            for one, answer in zip(batch, read, strict=True):
                answers[one] = answer
        return answers

    def _batches(self, before: int, queries: Sequence[Query]) -> Iterator[list[int]]:
        """Indices of the queries that go through together."""
        vocabulary = int(self.model.config.get_text_config().vocab_size)
        batch: list[int] = []
        n_places = 0
        asking = [number for number, query in enumerate(queries) if len(query.places)]
        for number in sorted(asking, key=lambda number: len(queries[number].tokens)):
            query = queries[number]
            tokens = (len(batch) + 1) * (before + len(query.tokens))
            n_places += len(query.places)
            if batch and (tokens > _BATCH_TOKENS or n_places * vocabulary > _BATCH_LOGITS):
                yield batch
                batch, n_places = [], len(query.places)
            batch.append(number)
        if batch:
            yield batch

    def _read(self, tokens: Sequence[int]) -> Any:
        """Keys and values of a text."""
        with torch.inference_mode():
            ids = torch.tensor([tokens], device=self.model.device)
            read = self.model.base_model(ids, use_cache=True)
        kept = getattr(read, "past_key_values", None)
        if kept is None:
            raise DataError(
                f"score.causal_model is a {type(self.model).__name__}, which keeps no keys and "
                "values; expected a transformer."
            )
        return kept

    def _ask(
        self, kept: Any, n_kept: int, last: int, queries: Sequence[Query]
    ) -> list[NDArray[np.float32]]:
        """Answers to a batch; `last` is the prefix's last id, at whose place tokens[0] is told."""
        longest, device = max(len(query.tokens) for query in queries), self.model.device
        ids = torch.zeros(len(queries), longest, dtype=torch.long)
        mask = torch.ones(len(queries), n_kept + longest, dtype=torch.long)
        for row, query in enumerate(queries):
            ids[row, : len(query.tokens)] = torch.tensor([last, *query.tokens[:-1]])
            mask[row, n_kept + len(query.tokens) :] = 0
        counts = [len(query.places) for query in queries]
        rows = torch.arange(len(queries)).repeat_interleave(torch.tensor(counts))
        columns = torch.tensor([place for query in queries for place in query.places])
        wanted = torch.tensor([ids for query in queries for ids in query.candidates])
        past = deepcopy(kept)
        past.batch_repeat_interleave(len(queries))
        with torch.inference_mode(), _logits_at(self.model, rows.to(device), columns.to(device)):
            logits = self.model(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                past_key_values=past,
                use_cache=True,
            ).logits.float()
            found = logits.gather(-1, wanted.to(device)) - logits.logsumexp(-1, keepdim=True)
        return np.split(found.cpu().numpy(), np.cumsum(counts)[:-1])


def load_causal_model(name: str, dtype: str, device: str) -> CausalModel:
    """The model that `score.causal_model` names, without gradients.

    `dtype` and `device` are as in `ModelSettings`. Raises `DataError` for a model that cannot be
    loaded, `SettingError` for a device that is not there.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = pick_device(device)
    location = str(gemma_folder()) if name == GEMMA else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(location)
        model = AutoModelForCausalLM.from_pretrained(location, dtype=getattr(torch, dtype))
    except Exception as error:
        # A damaged folder makes transformers raise whatever it stumbles over.
        raise DataError(
            f"score.causal_model = {name!r} cannot be loaded: {type(error).__name__}: {error}; "
            "expected a causal language model of the Hugging Face hub that can be reached, a "
            f"folder in its layout, or {GEMMA!r}."
        ) from error
    model.eval().requires_grad_(False).to(place)
    return CausalModel(tokenizer, model)


@contextmanager
def _logits_at(model: Any, rows: Tensor, columns: Tensor) -> Iterator[None]:
    """Within, the model gives logits [n, vocabulary] of the n places only."""

    def pick(_: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (args[0][rows, columns],)

    handle = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()
