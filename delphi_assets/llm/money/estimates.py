"""What the questions of a stage will come to, before the first one is asked.

In: the questions about some of its latents, as the stage would ask them (`Planned`). Out: calls,
tokens and US dollars for all of its latents (`Estimate`).

1. Prompt tokens are counted by the model's tokenizer where LiteLLM brings it, else a quarter of the
   characters is taken; `counted_by` says which.
2. An answer is taken to be as long as the stored answers to the same role on average, else as the
   worked examples in the prompt, else as long as it may be.
3. Questions with a stored answer cost nothing. The others are scaled up to all latents.
4. Prompts that a provider's cache makes cheaper are not taken into account, nor are second tries.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from delphi_assets.ground.stage import Fact
from delphi_assets.lake import database
from delphi_assets.lake.lake import Lake
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion, failed
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.tokens import Counter, price
from delphi_assets.llm.calls.transport import transport_of
from delphi_assets.settings import LLMSettings

STAND_IN = (
    "Words about the weather in news reports, most of all rain and storms, and the verbs that "
    "announce them."
)
"""In place of an explanation that is not there yet."""


class Planned(NamedTuple):
    """What a stage would ask."""

    stage: str
    """explain or score."""
    hookpoint: str
    model: str
    n_latents: int
    """Latents that have something left to be asked."""
    n_sampled: int
    """Of these, the latents that `requests` are about."""
    requests: Sequence[Request]


@dataclass(frozen=True)
class Estimate:
    """What a stage will come to, rounded up."""

    stage: str
    hookpoint: str
    model: str
    latents: int
    sampled: int
    calls: int
    answers_reused: int
    prompt_tokens: int
    completion_tokens: int
    completion_tokens_at_most: int
    dollars: float | None
    """None when LiteLLM does not know the model's price."""
    dollars_at_most: float | None
    counted_by: str

    def facts(self) -> list[tuple[str, Fact]]:
        """What is known, by name."""
        return [(name, value) for name, value in vars(self).items() if value is not None]


@dataclass
class _Total:
    calls: int = 0
    prompt: int = 0
    completion: float = 0.0
    at_most: int = 0


def estimate(lake: Lake, run: str, llm: LLMSettings, planned: Planned) -> Estimate:
    """What the planned questions, scaled up, will come to. Asks nobody.

    Raises `SettingError` for a model that no transport reaches.
    """
    transport_of(llm.of(planned.model), planned.model).server(planned.model)
    counter = Counter(planned.model)
    lengths, answered = _stored(lake, run, planned.model)
    requests = {request.hash: request for request in planned.requests}
    missing = [request for name, request in requests.items() if name not in answered]
    total = _total(missing, counter, lengths)
    scale = planned.n_latents / planned.n_sampled if planned.n_sampled else 0.0
    prompt, completion = total.prompt * scale, total.completion * scale
    at_most = total.at_most * scale
    cost = price(planned.model, llm.batch)
    return Estimate(
        stage=planned.stage,
        hookpoint=planned.hookpoint,
        model=planned.model,
        latents=planned.n_latents,
        sampled=planned.n_sampled,
        calls=_up(total.calls * scale),
        answers_reused=_up((len(requests) - len(missing)) * scale),
        prompt_tokens=_up(prompt),
        completion_tokens=_up(completion),
        completion_tokens_at_most=_up(at_most),
        dollars=None if cost is None else round(cost.of(prompt, completion), 6),
        dollars_at_most=None if cost is None else round(cost.of(prompt, at_most), 6),
        counted_by=counter.name,
    )


def drawn(latents: Iterable[int], sample: int, seed: str) -> list[int]:
    """At most `sample` of the latents, drawn by a hash, in order."""

    def key(latent: int) -> str:
        return hashlib.sha256(f"{seed}|estimate|{latent}".encode()).hexdigest()

    return sorted(sorted(latents, key=key)[:sample])


def stand_in(request: Request) -> Completion:
    """An answer that was never given, with an explanation that can be read."""
    return replace(failed(request, "", "", 0.0, 0), answer=f"[EXPLANATION]: {STAND_IN}", error=None)


def _stored(lake: Lake, run: str, model: str) -> tuple[dict[str, float], set[str]]:
    """Mean answer by role, and the requests that have one."""
    with database.connect(lake, up_to_date=False) as con:
        lengths = database.query(con, "completions/answer_lengths", run=run, model=model)
        calls = database.query(con, "completions/calls", run=run, paid=list(failures.PAID))
    return (
        {row["role"]: row["completion_tokens"] for row in lengths.to_pylist()},
        set(calls.filter(calls["answered"])["request"].to_pylist()),
    )


def _total(requests: Iterable[Request], counter: Counter, lengths: dict[str, float]) -> _Total:
    total, counts = _Total(), dict[str, int]()
    for request in requests:
        for message in request.messages:
            # Prompts of a stage share their instructions and worked examples.
            if message.content not in counts:
                counts[message.content] = counter.text(message.content)
        total.calls += 1
        total.prompt += counter.prompt([counts[message.content] for message in request.messages])
        total.completion += lengths.get(request.role) or _example(request, counts)
        total.at_most += request.max_tokens
    return total


def _example(request: Request, counts: dict[str, int]) -> float:
    """Tokens of the worked examples' answers, on average; without any the longest answer."""
    shown = [counts[turn.content] for turn in request.messages if turn.role == "assistant"]
    return min(request.max_tokens, sum(shown) / len(shown)) if shown else request.max_tokens


def _up(number: float) -> int:
    return -int(-number // 1)
