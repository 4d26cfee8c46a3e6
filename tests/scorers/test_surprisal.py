"""The scorer surprisal: gains in log-probability, by hand and with the embedded model."""

import math
from pathlib import Path

import pytest
import torch

from delphi_assets import connect
from delphi_assets.errors import SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.prompts import Prompts
from delphi_assets.scorers.predictions import score
from delphi_assets.scorers.surprisal import Surprisal, surprisal
from delphi_assets.scorers.work.scorer import Answer
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts.explained_lake import HOOKPOINT, SELECTION, Sizes, make_lake, profile
from tests.parts.judged_windows import BOS, explained, in_memory, items_of, next_token

pytestmark = pytest.mark.slow

WINDOWS = [["the", " lake", " holds"], [BOS, " numbers", " 12", "\n", "é"], [" a"]]


def judge_of(folder: Path, causal_model: Path) -> Surprisal:
    judge = surprisal(in_memory(folder, causal_model=str(causal_model))).judge
    assert isinstance(judge, Surprisal)
    return judge


def by_hand(judge: Surprisal, description: str, window: str) -> float:
    """Mean log-probability of the window's tokens, each by a forward pass of its own."""
    reader = judge.reader
    filled = Prompts().text("surprisal").replace("{description}", description)
    ids, total = reader.beginning(f"{filled}\n"), 0.0
    [tokens] = reader.ids(window)
    for token in tokens:
        total += next_token(reader, ids)[token]
        ids.append(token)
    return total / len(tokens)


def test_a_value_is_the_mean_gain_a_token(
    tmp_path: Path, any_model: Path, one_thread: None
) -> None:
    judge = judge_of(tmp_path, any_model)
    found = judge.answer(explained("Lakes."), items_of(*WINDOWS))
    for window, answer in zip(WINDOWS, found, strict=True):
        shown = "".join(token for token in window if token != BOS)
        told, without = (
            by_hand(judge, description, shown)
            for description in ("Lakes.", Prompts().text("surprisal_neutral"))
        )
        assert answer == Answer(value=answer.value)
        assert answer.value == pytest.approx(told - without, abs=1e-4)


def test_each_explanation_counts_for_itself(tmp_path: Path, tiny_model: Path) -> None:
    """What is kept from one explanation to the next does not leak into other windows."""
    judge, items = judge_of(tmp_path, tiny_model), items_of(*WINDOWS)
    lakes, nothing = (judge.answer(explained(said), items) for said in ("Lakes.", ""))
    neutral = judge.answer(explained(Prompts().text("surprisal_neutral")), items)
    assert lakes != nothing
    assert [one.value for one in neutral] == [0.0] * 3
    other = items_of([" numbers"], [" lost"])
    fresh = judge_of(tmp_path, tiny_model)
    assert judge.answer(explained("Lakes."), other) == fresh.answer(explained("Lakes."), other)
    assert judge.answer(explained("Lakes."), items) == lakes


def test_windows_that_cannot_be_judged_are_failures(tmp_path: Path, tiny_model: Path) -> None:
    judge = judge_of(tmp_path, tiny_model)
    judge.reader.model.config.max_position_embeddings = 500
    bare, long, fine = judge.answer(
        explained("Lakes."), items_of([BOS, BOS], [" word"] * 500, [" a"])
    )
    assert bare == Answer(failure="no_text")
    assert long == Answer(failure="too_long")
    assert fine.value is not None
    judge.reader.model.get_output_embeddings().weight.data[7] = torch.nan
    fresh = items_of([" lake"])
    assert judge.answer(explained("Lakes."), fresh) == [Answer(failure="not_finite")]


def test_the_hash_covers_prompts_and_precision(tmp_path: Path, tiny_model: Path) -> None:
    def hash_of(**settings: object) -> str:
        return surprisal(
            in_memory(tmp_path, causal_model=str(tiny_model), **settings)
        ).judge.judge_hash

    own = tmp_path / "prompts"
    own.mkdir()
    (own / "surprisal_neutral.txt").write_text("Any text.\n")
    hashes = {hash_of(), hash_of(causal_dtype="bfloat16"), hash_of(prompts=str(own))}
    assert len(hashes) == 3
    (own / "surprisal_neutral.txt").write_text(Prompts().text("surprisal_neutral"))
    assert hash_of(prompts=str(own)) == hash_of()


def test_the_embedded_model_expects_what_is_explained(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 2, Sizes(train=4, test=3, silent=3))
    latents = parse_latents("all")
    explain(profile(), lake, HOOKPOINT, latents, ExplainSettings(explainer="lexical"), SELECTION)
    settings = ScoreSettings(scorers=("surprisal",), controls=("shuffled", "empty"))
    latent = parse_latents("0")
    assert score(profile(), lake, HOOKPOINT, latent, settings, SELECTION).new_rows == 18
    assert score(profile(), lake, HOOKPOINT, latent, settings, SELECTION).new_rows == 0
    con = connect(lake)
    rows = con.sql("select value, failure, judge from predictions").fetchall()
    assert {row[1:] for row in rows} == {(None, "embedded:gemma-3-270m")}
    assert all(math.isfinite(row[0]) for row in rows)
    scores = dict(con.sql("select control, auroc from scores").fetchall())
    assert set(scores) == {"none", "shuffled", "empty"}
    assert scores["none"] == 1.0


def test_a_model_that_cannot_be_is_refused_early(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"score.causal_model = 'embedded:gpt' is no embedded"):
        surprisal(in_memory(tmp_path, causal_model="embedded:gpt"))
