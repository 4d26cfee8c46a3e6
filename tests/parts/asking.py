"""Questions for a server on this machine, asked by a fresh client; what was stored."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from delphi_assets import connect
from delphi_assets.lake.lake import Lake
from delphi_assets.llm.asking import loop
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.settings import LLMSettings

MODEL = "openai/tiny"


def ask(prompt: str, **changes: object) -> Request:
    """The question `prompt`."""
    asked: dict[str, object] = {
        "role": "test",
        "model": MODEL,
        "messages": (Message("user", prompt),),
        "temperature": 0.0,
        "max_tokens": 10,
        **changes,
    }
    return Request(**asked)  # type: ignore[arg-type]


def made(root: Path) -> Lake:
    """The lake under `root`, with empty tables."""
    lake = Lake(root / "lake")
    lake.initialize()
    return lake


def settings_of(url: str | None, **settings: object) -> LLMSettings:
    """Settings that send everything to `url`."""
    given: dict[str, object] = {"max_retries": 2, "timeout": 30.0, "api_base": url, **settings}
    return LLMSettings.model_validate(given)


def complete(
    root: Path, url: str | None, prompts: Sequence[str], model: str = MODEL, **settings: object
) -> list[Completion]:
    """The completions of all prompts, asked at once by a fresh client."""

    async def all_at_once() -> list[Completion]:
        async with Client(settings_of(url, **settings), model, made(root), "run") as client:
            requests = [ask(prompt, model=model) for prompt in prompts]
            return await asyncio.gather(*[client.complete(request) for request in requests])

    return loop.run(all_at_once())


def stored(root: Path) -> list[dict[str, object]]:
    """Rows of the view completions."""
    found = connect(root / "lake").sql("select * from completions order by messages")
    rows: list[dict[str, object]] = found.to_arrow_table().to_pylist()
    return rows
