"""The scorer simulation, read from a causal model and written by an LLM."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from delphi_assets import connect
from delphi_assets.errors import SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.scorers.predictions import score
from delphi_assets.scorers.simulation import ReadSimulation, simulation
from delphi_assets.scorers.work.scorer import Answer
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts.explained_lake import HOOKPOINT, SELECTION, WINDOW, Sizes, make_lake, profile
from tests.parts.fault_server import Asked, FaultServer, Reply
from tests.parts.judged_windows import explained, in_memory, items_of, next_token

pytestmark = pytest.mark.slow

ALL = parse_latents("all")
SIZES = Sizes(train=4, test=3, silent=3)
WRITTEN = ScoreSettings(
    scorers=("simulation",), simulation_type="json", scorer_model="openai/judge"
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two latents, explained by counting."""
    return counted(tmp_path, SIZES)


def counted(root: Path, sizes: Sizes) -> Lake:
    made = make_lake(root, 2, sizes)
    explain(profile(), made, HOOKPOINT, ALL, ExplainSettings(explainer="lexical"), SELECTION)
    return made


def judge_of(folder: Path, causal_model: Path) -> ReadSimulation:
    judge = simulation(in_memory(folder, causal_model=str(causal_model))).judge
    assert isinstance(judge, ReadSimulation)
    return judge


def test_activations_are_expected_digits(tmp_path: Path, any_model: Path, one_thread: None) -> None:
    """By hand: the prompt is continued token by token, and the digits are weighed."""
    judge = judge_of(tmp_path, any_model)
    windows = [["the", " lake\n", "\t"], [" token", " 6789", "é", " lost"]]
    found = judge.answer(explained("Lakes."), items_of(*windows))
    reader = judge.reader
    prompt = reader.beginning(f"{judge._prompt.replace('{description}', 'Lakes.')}\n")
    digits = [reader.ids(str(digit))[0][0] for digit in range(10)]
    for window, answer in zip([["the", " lake⏎", "→"], windows[1]], found, strict=True):
        ids, expected = list(prompt), []
        for token in window:
            ids += [*reader.ids(token)[0], *reader.ids("\t")[0]]
            weights = np.exp(next_token(reader, ids)[digits])
            expected.append(10 / 9 * sum(d * w for d, w in enumerate(weights)) / weights.sum())
            ids += reader.ids("unknown\n")[0]
        assert answer.simulated == pytest.approx(expected, abs=1e-4)
        assert all(0 <= activation <= 10 for activation in answer.simulated or ())
        assert (answer.value, answer.prediction, answer.failure) == (None, None, None)


def test_the_explanation_and_the_prompt_matter(tmp_path: Path, tiny_model: Path) -> None:
    judge, items = judge_of(tmp_path, tiny_model), items_of(["the", " lake"])
    told, other = (judge.answer(explained(text), items) for text in ("Lakes.", "Numbers."))
    assert told != other
    own = tmp_path / "prompts"
    own.mkdir()
    (own / "simulation.txt").write_text("{description}\n")
    replaced = simulation(in_memory(tmp_path, causal_model=str(tiny_model), prompts=str(own))).judge
    assert replaced.judge_hash != judge.judge_hash
    (own / "simulation.txt").write_text("Nothing to fill in.\n")
    with pytest.raises(SettingError, match=r"simulation.txt without \{description\}"):
        simulation(in_memory(tmp_path, prompts=str(own)))


def test_what_is_not_finite_is_a_failure(tmp_path: Path, tiny_model: Path) -> None:
    judge = judge_of(tmp_path, tiny_model)
    judge.reader.model.get_output_embeddings().weight.data[7] = torch.nan
    assert judge.answer(explained("x"), items_of(["a"])) == [Answer(failure="not_finite")]


def test_a_window_longer_than_the_model_is_a_failure(tmp_path: Path, tiny_model: Path) -> None:
    judge = judge_of(tmp_path, tiny_model)
    judge.reader.model.config.max_position_embeddings = 2_000
    short, long = judge.answer(explained("x"), items_of([" a"], [" word"] * 500))
    assert short.failure is None
    assert long == Answer(failure="too_long")


def test_the_embedded_model_simulates(tmp_path: Path, one_thread: None) -> None:
    lake = counted(tmp_path, Sizes(train=4, test=2, silent=1))
    settings = ScoreSettings(scorers=("simulation",), controls=("shuffled", "empty"))
    latent = parse_latents("0")
    assert score(profile(), lake, HOOKPOINT, latent, settings, SELECTION).new_rows == 9
    assert score(profile(), lake, HOOKPOINT, latent, settings, SELECTION).new_rows == 0
    con = connect(lake)
    rows = con.sql("select simulated, value, judge, failure from predictions").fetchall()
    assert {row[1:] for row in rows} == {(None, "embedded:gemma-3-270m", None)}
    assert all(len(row[0]) == WINDOW and all(map(math.isfinite, row[0])) for row in rows)
    scores = dict(con.sql("select control, correlation from scores").fetchall())
    assert set(scores) == {"none", "shuffled", "empty"}
    assert scores["none"] > max(scores["shuffled"], scores["empty"])


def written(asked: Asked) -> Reply:
    """What the lake's latent 0 would do: it fires on its word."""
    tokens = json.loads(asked.prompt.rpartition("Tokens: ")[2])
    pairs = [[token, 9 if token == " word0" else 0] for token in tokens]
    return Reply(json.dumps({"activations": pairs}))


def test_an_llm_writes_activations(lake: Lake) -> None:
    with FaultServer(written) as server:
        given = profile(api_base=server.url)
        assert score(given, lake, HOOKPOINT, ALL, WRITTEN, SELECTION).new_rows == 12
        assert score(given, lake, HOOKPOINT, ALL, WRITTEN, SELECTION).new_rows == 0
        assert len(server.asked) == 12
        system = server.asked[0].body["messages"][0]
        assert (system["role"], '"activations"' in system["content"]) == ("system", True)
        controls = WRITTEN.model_copy(update={"controls": ("shuffled", "empty")})
        assert score(given, lake, HOOKPOINT, ALL, controls, SELECTION).new_rows == 24
        schema = profile(api_base=server.url, json_schema=True)
        score(schema, lake, HOOKPOINT, parse_latents("0"), WRITTEN, SELECTION)
        form = server.asked[-1].body["response_format"]["json_schema"]["schema"]
        assert form["properties"]["activations"]["minItems"] == WINDOW
    scores = connect(lake).sql("select latent, correlation from scores order by all").fetchall()
    assert [round(value, 2) for latent, value in scores if latent == 0] == [1.0] * 4
    assert {value for latent, value in scores if latent == 1} == {0.0}


def test_answers_that_cannot_be_read_are_failures_with_reasons(lake: Lake) -> None:
    def answer(asked: Asked) -> Reply:
        pairs = json.loads(written(asked).text or "")["activations"]
        short, shifted = pairs[1:], [pairs[0], *pairs[:-1]]
        return [
            Reply("no idea"),
            Reply(json.dumps(short)),
            Reply(json.dumps(shifted)),
            Reply(json.dumps(pairs)[:30], finish_reason="length"),
            Reply("I'm sorry, but I can't."),
            written(asked),
        ][min(asked.number, 5)]

    with FaultServer(answer) as server:
        given = profile(api_base=server.url, repair=False, max_concurrent=1)
        score(given, lake, HOOKPOINT, parse_latents("0"), WRITTEN, SELECTION)
    rows = connect(lake).sql("select failure, simulated is null from predictions order by all")
    assert rows.fetchall() == [
        ("misaligned", True),
        ("refusal", True),
        ("truncated", True),
        ("unparseable", True),
        ("wrong_count", True),
        (None, False),
    ]


def test_a_misaligned_answer_is_mended_once(lake: Lake) -> None:
    def answer(asked: Asked) -> Reply:
        if len(asked.body["messages"]) > 2:
            assert "not those asked about" in asked.prompt
            tokens = asked.body["messages"][1]["content"]
            return written(Asked({"messages": [{"content": tokens}]}, {}, 0, 0))
        pairs = json.loads(written(asked).text or "")["activations"]
        return Reply(json.dumps([pairs[0], *pairs[:-1]]))

    with FaultServer(answer) as server:
        score(profile(api_base=server.url), lake, HOOKPOINT, parse_latents("0"), WRITTEN, SELECTION)
    assert connect(lake).sql("select distinct failure from predictions").fetchall() == [(None,)]


def test_settings_that_cannot_work_are_refused_before_anything_runs(lake: Lake) -> None:
    no_llm = WRITTEN.model_copy(update={"scorer_model": "lexical"})
    with pytest.raises(SettingError, match=r"'simulation'.*scorer_model = 'lexical'"):
        score(profile(), lake, HOOKPOINT, ALL, no_llm, SELECTION)
    no_model = ScoreSettings(scorers=("simulation",), causal_model="/not/there")
    with pytest.raises(SettingError, match="causal_model = '/not/there' is neither a folder"):
        score(profile(), lake, HOOKPOINT, ALL, no_model, SELECTION)
