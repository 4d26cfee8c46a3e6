"""The scorers embedding and example_embedding, with the real embedded encoder."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from delphi_assets import connect
from delphi_assets.errors import DataError
from delphi_assets.explainers.explanations import explain
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.scorers.embedding import embedding
from delphi_assets.scorers.example_embedding import Compared, example_embedding
from delphi_assets.scorers.predictions import score
from delphi_assets.scorers.work.scorer import Answer, Computed
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts.explained_lake import (
    HOOKPOINT,
    N_SILENT,
    N_TEST,
    SELECTION,
    make_lake,
    profile,
    record,
)
from tests.parts.judged_windows import BOS, explained, in_memory, items_of
from tests.parts.sentence_encoders import make_encoder

pytestmark = pytest.mark.slow

COOKING = [" stir", " the", " soup", " and", " add", " salt"]
LAW = [" the", " court", " dismissed", " the", " appeal", "."]


def value(answer: Answer) -> float:
    assert answer.value is not None
    return answer.value


def test_a_window_that_matches_is_nearer(tmp_path: Path) -> None:
    scoring = in_memory(tmp_path)
    judge = embedding(scoring).judge
    assert isinstance(judge, Computed)
    items = items_of(COOKING, LAW, [BOS, *COOKING])
    cooking, law, marked = judge.answer(explained("Recipes and preparing food."), items)
    assert value(cooking) > value(law) + 0.1
    assert marked.value == pytest.approx(cooking.value, abs=1e-6)
    [told] = scoring.sentence_encoder.encode(["Recipes and preparing food."])
    [window] = scoring.sentence_encoder.encode(["".join(COOKING)])
    assert cooking.value == pytest.approx(float(told @ window), abs=1e-6)
    reversed_order = judge.answer(explained("Decisions of judges."), items[1::-1])
    assert value(reversed_order[0]) > value(reversed_order[1])
    assert judge.model == "embedded:all-MiniLM-L6-v2"
    assert judge.answer(explained("x"), []) == []


def test_examples_are_compared_with_the_train_windows(tmp_path: Path) -> None:
    scoring = in_memory(tmp_path)
    scorer = example_embedding(scoring)
    assert isinstance(scorer.judge, Computed)
    one = record(0)
    items = scorer.items(one, explained(""))
    assert len(items) == N_TEST + N_SILENT
    assert set(items[0].train) == {"".join(example.str_tokens) for example in one.train}
    answers = scorer.judge.answer(explained(""), items)
    encode = scoring.sentence_encoder.encode
    train = encode(list(items[0].train))
    for item, answer in zip(items, answers, strict=True):
        [window] = encode(["".join(item.str_tokens)])
        by_hand = sum(float(window @ vector) for vector in train) / len(train)
        assert answer.value == pytest.approx(by_hand, abs=1e-5)
    matching = [
        Compared(**{**vars(item), "train": (" boil the rice", " a pinch of pepper")})
        for item in items_of(COOKING, LAW)
    ]
    cooking, law = scorer.judge.answer(explained(""), matching)
    assert value(cooking) > value(law) + 0.1


@pytest.mark.parametrize("scorer", ["embedding", "surprisal"])
def test_a_judge_that_is_replaced_judges_again(
    tmp_path: Path, tiny_model: Path, scorer: str
) -> None:
    """Under the name of the old one, whose rows stay, and count again when it is back."""
    lake, place = make_lake(tmp_path, 1), tmp_path / "judge"
    lexical = ExplainSettings(explainer="lexical")
    explain(profile(), lake, HOOKPOINT, parse_latents("all"), lexical, SELECTION)
    judged = ScoreSettings(
        scorers=(scorer,), controls=(), embedding_model=str(place), causal_model=str(place)
    )

    def new_rows() -> int:
        report = score(profile(), lake, HOOKPOINT, parse_latents("all"), judged, SELECTION)
        return report.new_rows

    if scorer == "embedding":
        make_encoder(place)
    else:
        shutil.copytree(tiny_model, place)
    assert (new_rows(), new_rows()) == (12, 0)
    # A lake of an earlier version: nothing says what judged its rows, and they stand.
    for note in Path(lake.root, "origins").rglob("judge-*.json"):
        note.unlink()
    assert new_rows() == 0
    config = (place / "config.json").read_text(encoding="utf-8")
    (place / "config.json").write_text(f"{config}\n", encoding="utf-8")
    assert (new_rows(), new_rows()) == (12, 0)
    hashes = connect(lake).sql("select count(distinct judge_hash), count(*) from predictions")
    assert hashes.fetchall() == [(2, 24)]
    (place / "config.json").write_text(config, encoding="utf-8")
    assert new_rows() == 0


def test_both_run_as_a_stage(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 2)
    latents = parse_latents("all")
    examples_only = ScoreSettings(scorers=("example_embedding",))
    assert score(profile(), lake, HOOKPOINT, latents, examples_only, SELECTION).new_rows == 24
    explain(profile(), lake, HOOKPOINT, latents, ExplainSettings(explainer="lexical"), SELECTION)
    both = ScoreSettings(scorers=("embedding", "example_embedding"), controls=("shuffled", "empty"))
    assert score(profile(), lake, HOOKPOINT, latents, both, SELECTION).new_rows == 3 * 24
    assert score(profile(), lake, HOOKPOINT, latents, both, SELECTION).new_rows == 0
    found = connect(lake).sql(
        """
        select
            scorer, control, explanation_id = 'none', count(*),
            bool_and(value between -1.001 and 1.001), count(prediction), count(failure)
        from predictions
        group by all
        order by all
        """
    )
    assert found.fetchall() == [
        ("embedding", "empty", True, 24, True, 0, 0),
        ("embedding", "none", False, 24, True, 0, 0),
        ("embedding", "shuffled", False, 24, True, 0, 0),
        ("example_embedding", "none", True, 24, True, 0, 0),
    ]
    scores = connect(lake).sql("select auroc from scores where scorer = 'example_embedding'")
    assert all(auroc > 0.9 for (auroc,) in scores.fetchall())


def test_a_vector_that_is_not_finite_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = in_memory(tmp_path)

    class Broken:
        def encode(self, texts: list[str]) -> np.ndarray:
            return np.full((len(texts), 4), np.nan, np.float32)

    monkeypatch.setitem(scoring.__dict__, "sentence_encoder", Broken())
    judge = embedding(scoring).judge
    assert isinstance(judge, Computed)
    assert judge.answer(explained("x"), items_of(LAW)) == [Answer(failure="not_finite")]


def test_an_encoder_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/modules.json").write_text("[]")
    judge = embedding(in_memory(tmp_path, embedding_model=str(tmp_path / "model"))).judge
    assert isinstance(judge, Computed)
    with pytest.raises(DataError, match=r"score.embedding_model = "):
        judge.answer(explained("x"), items_of(LAW))
