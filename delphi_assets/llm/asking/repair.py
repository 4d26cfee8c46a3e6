"""A second try for an answer that cannot be read.

In: a question and how its answer is read. Out: what was read, from the first answer or the second.

1. The question is asked and its answer read.
2. If that fails in a way that the model can mend (`failures.REPAIRABLE`), the question is asked
   once more, followed by the answer and what was wrong with it. That is a question of its own,
   with a hash and a row of its own, so a resumed run finds both answers in the table.
3. If the second answer cannot be read either, the failure is its own, but it belongs to the first
   question: that is the one a later run compares.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.prompts import Prompts

Result = TypeVar("Result")

COMPLAINTS = {
    failures.UNPARSEABLE: "it could not be read.",
    failures.WRONG_COUNT: "it does not have exactly one answer for each thing asked about.",
    failures.MISALIGNED: "its tokens are not those asked about, each once and in order.",
    failures.CONTRADICTORY: "it says two things that differ; give one answer.",
    failures.TRUNCATED: "it was cut off before its end; keep it shorter.",
    failures.EMPTY: "it was empty.",
}


class ReadAnswer(NamedTuple, Generic[Result]):
    """What was read, and the completion whose hash a row is to be stored with."""

    completion: Completion
    result: Result


async def ask(
    client: Client,
    request: Request,
    read: Callable[[Completion], Result],
    failure_of: Callable[[Result], str | None],
    prompts: Prompts,
) -> ReadAnswer[Result]:
    """Ask `request`, and once more if its answer cannot be read and `llm.repair` is on.

    `failure_of` gives the code of the failure in what `read` made of a completion, None without
    one. `prompts` holds the text that asks again. Raises as `Client.complete`.
    """
    first = await client.complete(request)
    result = read(first)
    failure = failure_of(result)
    if first.error is not None or failure not in failures.REPAIRABLE or not client.repairs:
        return ReadAnswer(first, result)
    second = await client.complete(again(request, first.answer, failure, prompts))
    mended = read(second)
    return ReadAnswer(second if failure_of(mended) is None else first, mended)


def again(request: Request, answer: str | None, failure: str, prompts: Prompts) -> Request:
    """`request` with its answer and what was wrong with it."""
    complaint = prompts.text("repair").replace("{complaint}", COMPLAINTS[failure])
    if answer is not None and answer.strip():
        turns = (*request.messages, Message("assistant", answer), Message("user", complaint))
    else:
        # Some servers take no empty turn, and no two turns of the same side.
        *before, last = request.messages
        turns = (*before, last._replace(content=f"{last.content}\n\n{complaint}"))
    return replace(request, messages=turns)
