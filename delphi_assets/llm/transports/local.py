"""Models that this library serves itself, from a GGUF file on this machine: `local/<name>`.

In: a `Request`. Out: a `Reply`. The name is one of a model that comes in packages, as
`local/qwen2.5-coder-1.5b`, or the path of a file, as `local/models/mine.gguf`.

The server is started when the first question is to be asked, once in a process
(`models.llama_server`), and asked as any other through LiteLLM: so answers are stored, budgeted and
tried again as those of others are. As many questions are open as it has slots; more would wait in
the server, and their time would run out there.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec

from pydantic import Field

from delphi_assets.errors import SettingError
from delphi_assets.ground.secrets import Endpoint
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.responses import Reply
from delphi_assets.llm.calls.transport import Line, Send, Transport
from delphi_assets.llm.transports.through_litellm import LiteLLM
from delphi_assets.models.gguf import check_gguf, gguf_identity
from delphi_assets.models.llama_server import Address, Serving, address
from delphi_assets.settings import LLMSettings
from delphi_assets.settings.options import Options

_ASKED_AS = "hosted_vllm/local"
"""What LiteLLM is told: a provider that it reads no address and no key of somebody else's for."""


class LocalOptions(Options):
    """How a file is served: `[llm.options.local]`."""

    context: int = Field(
        8_192, gt=0, le=2**20, description="tokens that a question and its answer may have"
    )
    slots: int = Field(1, gt=0, le=64, description="questions that are answered at a time")
    threads: int | None = Field(
        None, gt=0, le=1_024, description="processors that compute; all unless given"
    )


class Local(Transport):
    """llama.cpp in a process beside this one."""

    def __init__(self, options: LocalOptions) -> None:
        self._serving = Serving(**options.model_dump())

    @property
    def most_open(self) -> int:
        """A question a slot."""
        return self._serving.slots

    def check(self, setting: str, model: str, settings: LLMSettings) -> None:
        """Refuses what is no model here, and settings that would start several servers."""
        super().check(setting, model, settings)
        if settings.processes > 1:
            raise SettingError(
                f"llm.processes = {settings.processes} with {setting} = {model!r}, of which each "
                "process would start a server of its own; expected llm.processes = 1."
            )
        if find_spec("xllamacpp") is None:
            raise SettingError(
                f"{setting} = {model!r} needs the package 'xllamacpp', which is not installed; "
                "install the extra with: pip install 'delphi-assets[llm]'"
            )
        try:
            check_gguf(_name(model))
        except SettingError as error:
            raise SettingError(f"{setting} = {model!r}: {error}") from None

    def server(self, model: str) -> str:
        """That it is a process of ours."""
        return f"the server that this library starts for {_name(model)}"

    def suspects(self, model: str) -> str:
        """The name of the file."""
        return "the name of the model"

    def identity(self, model: str) -> str:
        """SHA-256 of the file."""
        return gguf_identity(_name(model))

    @asynccontextmanager
    async def open(self, line: Line) -> AsyncIterator[Send]:
        """Starts the server unless it runs; what it loads stays until this process ends."""
        name = _name(line.model)
        place = await asyncio.to_thread(address, name, self._serving)
        asked_as = line._replace(model=_ASKED_AS, endpoint=_endpoint(place))
        async with LiteLLM().open(asked_as) as ask:

            async def send(request: Request) -> Reply:
                # One that has ended is started anew, at the same address.
                await asyncio.to_thread(address, name, self._serving)
                return await ask(replace(request, model=_ASKED_AS))

            yield send


def _name(model: str) -> str:
    return model.partition("/")[2]


def _endpoint(place: Address) -> Endpoint:
    return Endpoint(place.url, None, (place.key,), place.key)
