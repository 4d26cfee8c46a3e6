"""Log-probabilities are those of a forward pass a token, without batches and kept keys."""

from pathlib import Path

import numpy as np
import pytest
import torch

from delphi_assets.errors import DataError, SettingError
from delphi_assets.models import causal_model
from delphi_assets.models.causal_model import CausalModel, Query, load_causal_model

pytestmark = pytest.mark.slow

PREFIX = "the lake holds every activation of a latent: "
TEXTS = [
    "a",
    "documents follow each other and none is lost",
    "numbers such as 12, 345",
    "café 日本",
]


@pytest.fixture
def model(any_model: Path, one_thread: None) -> CausalModel:
    return load_causal_model(str(any_model), "float32", "cpu")


def one_by_one(model: CausalModel, prefix: list[int], query: Query) -> np.ndarray:
    """The same, each place by a forward pass of its own over all that is before it."""
    rows = []
    for place, candidates in zip(query.places, query.candidates, strict=True):
        ids = torch.tensor([[*prefix, *query.tokens[:place]]])
        with torch.no_grad():
            logits = model.model(ids, use_cache=False).logits[0, -1]
        rows.append(logits.log_softmax(-1)[list(candidates)].numpy())
    return np.array(rows)


def own_tokens(model: CausalModel, text: str) -> Query:
    """Every token of a text is asked for."""
    [tokens] = model.ids(text)
    return Query(tokens, range(len(tokens)), [[token] for token in tokens])


@pytest.mark.parametrize("most_logits", [1, 320 * 40, 2**26])
def test_batches_and_kept_keys_change_nothing(
    model: CausalModel, monkeypatch: pytest.MonkeyPatch, most_logits: int
) -> None:
    monkeypatch.setattr(causal_model, "_BATCH_LOGITS", most_logits)
    prefix = model.beginning(PREFIX)
    queries = [own_tokens(model, text) for text in TEXTS]
    found = model.log_probabilities(prefix, queries)
    assert sum(len(query.tokens) for query in queries) > 40
    for query, answer in zip(queries, found, strict=True):
        assert answer.shape == (len(query.tokens), 1)
        np.testing.assert_allclose(answer, one_by_one(model, prefix, query), atol=1e-4)


def test_only_the_places_asked_about_are_told(model: CausalModel) -> None:
    """Different numbers of places, several candidates, and a text about which nothing is asked."""
    prefix = model.beginning(PREFIX)
    tokens = [model.ids(text)[0] for text in TEXTS]
    queries = [
        Query(tokens[1], [0, 3, len(tokens[1]) - 1], [[5, 6, 7], [7, 6, 5], [300, 2, 1]]),
        Query(tokens[2], [], []),
        Query(tokens[3], [2], [[9, 8, 7]]),
    ]
    found = model.log_probabilities(prefix, queries)
    assert [answer.shape for answer in found] == [(3, 3), (0, 0), (1, 3)]
    for place in (0, 2):
        expected = one_by_one(model, prefix, queries[place])
        np.testing.assert_allclose(found[place], expected, atol=1e-4)
    assert model.log_probabilities(prefix, []) == []


def test_probabilities_sum_to_one(model: CausalModel) -> None:
    [answer] = model.log_probabilities(
        model.beginning(PREFIX), [Query([4, 5], [0, 1], [range(320)] * 2)]
    )
    np.testing.assert_allclose(np.exp(answer).sum(axis=1), 1, rtol=1e-5)
    assert model.model.lm_head._forward_pre_hooks == {}


def test_a_text_begins_as_the_model_expects(model: CausalModel, any_model: Path) -> None:
    adds_bos = model.tokenizer("a")["input_ids"][0] == 2
    ids = model.beginning("a b")
    assert ids[adds_bos:] == model.ids("a b")[0]
    assert (ids[0] == 2) == adds_bos


def test_what_cannot_be_loaded_is_named(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(DataError, match=r"score.causal_model = .*cannot be loaded"):
        load_causal_model(str(tmp_path), "float32", "cpu")
    with pytest.raises(SettingError, match=r"model.device = 'tpu9'"):
        load_causal_model(str(tiny_model), "float32", "tpu9")
