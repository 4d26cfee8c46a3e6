"""The form in which an explanation is asked for, and the explanation in an answer.

In: a completion. Out: a text, or the reason why there is none.

1. As text, the explanation stands behind `MARKER`, the last one that begins a line; where none
   does, the last one anywhere. As JSON, it is the field `explanation` of the last object that has
   one; a marker in another field is no answer. Of both, what stands last counts.
2. Chain of thought may come before either. What a model thinks before `</think>` does not count.
"""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from delphi_assets.llm.answers.passages import objects_with, within, without_thoughts
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message
from delphi_assets.prompts import ExplainerCase, Prompts

MARKER = "[EXPLANATION]:"
_MARKER = re.compile(
    r"(?P<begins>^[ \t>*_#`-]*)?\[EXPLANATION\][*_]{0,2}\s?:", re.IGNORECASE | re.MULTILINE
)


class ReadExplanation(NamedTuple):
    """A text, or the code of the reason why there is none (see `llm.calls.failures`)."""

    text: str | None
    failure: str | None

    def failure_of(self) -> str | None:
        """The failure, as `llm.repair` asks for it."""
        return self.failure


def schema(cot: bool) -> str:
    """JSON schema of the answer, as JSON text."""
    fields = ["reasoning", "explanation"] if cot else ["explanation"]
    return json.dumps(
        {
            "type": "object",
            "properties": {field: {"type": "string"} for field in fields},
            "required": fields,
            "additionalProperties": False,
        }
    )


def parse(completion: Completion) -> ReadExplanation:
    """The explanation in an answer, or why there is none. Nothing is made up."""
    if completion.failure is not None:
        return ReadExplanation(None, completion.failure)
    answer, finish = (completion.answer or "").strip(), completion.finish_reason
    if finish in (failures.CONTENT_FILTER, failures.REFUSAL):
        return ReadExplanation(None, finish)
    if finish == "length":
        return ReadExplanation(None, failures.TRUNCATED)
    if not answer:
        return ReadExplanation(None, failures.EMPTY)
    text = _explanation(answer)
    if text is None:
        code = failures.REFUSAL if failures.is_refusal(answer) else failures.UNPARSEABLE
        return ReadExplanation(None, code)
    return ReadExplanation(text, None) if text else ReadExplanation(None, failures.EMPTY)


def worked(
    questions: Sequence[str], cases: Sequence[ExplainerCase], cot: bool, json_schema: bool
) -> list[Message]:
    """Worked examples as earlier turns: a question, and the answer that is wanted."""
    return [
        message
        for question, case in zip(questions, cases, strict=True)
        for message in (
            Message("user", question),
            Message("assistant", _reply(case, cot, json_schema)),
        )
    ]


def form(prompts: Prompts, cot: bool, json_schema: bool) -> str:
    """The instruction on the form of the answer."""
    name = "json" if json_schema else "text"
    reasoning = "_reasoning" if json_schema and cot else ""
    return prompts.text(f"explainer_answer_{name}{reasoning}")


def _reply(case: ExplainerCase, cot: bool, json_schema: bool) -> str:
    if json_schema:
        thought = {"reasoning": " ".join(case.reasoning.split())} if cot else {}
        return json.dumps({**thought, "explanation": case.explanation})
    thoughts = f"{case.reasoning}\n" if cot else ""
    return f"{thoughts}{MARKER} {case.explanation}"


def _explanation(answer: str) -> str | None:
    """The text behind the last marker or in the last JSON object; None without either."""
    answer = without_thoughts(answer)
    objects = [
        span
        for span in objects_with("explanation", answer)
        if isinstance(_field(answer, span), str)
    ]
    found = [match for match in _MARKER.finditer(answer) if not within(objects, match.end() - 1)]
    marker = max(found, key=lambda match: (match["begins"] is not None, match.end()), default=None)
    if marker is not None and not (objects and objects[-1].start > marker.end()):
        return " ".join(answer[marker.end() :].replace("```", " ").split()).strip("*_ ")
    return " ".join(str(_field(answer, objects[-1])).split()) if objects else None


def _field(answer: str, span: range) -> object:
    return json.loads(answer[span.start : span.stop])["explanation"]
