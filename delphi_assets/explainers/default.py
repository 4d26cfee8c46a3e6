"""The default explainer: an LLM reads highlighted windows and says what they have in common.

In: the train windows of a latent. Out: messages for an LLM; and from its answer, an explanation or
the reason why there is none.

The prompt is: instructions, worked examples as earlier turns, then the numbered windows, shown as
`highlighting` shows them. Tokens whose activation is above `threshold` times the latent's maximum
are highlighted; with `show_activations` they are listed with their activation, normalized to 0-10.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from delphi_assets import prompts
from delphi_assets.highlighting import FORMAT, highlight, mark, show
from delphi_assets.llm import failures
from delphi_assets.llm.completions import Completion
from delphi_assets.llm.requests import Message
from delphi_assets.records import Example, LatentRecord
from delphi_assets.settings import ExplainSettings

MARKER = "[EXPLANATION]:"


class Explanation(NamedTuple):
    """A text, or the code of the reason why there is none (see `llm.failures`)."""

    text: str | None
    failure: str | None


def instructions(settings: ExplainSettings, json_schema: bool) -> tuple[Message, ...]:
    """The part of the prompt that is the same for all latents: instructions, worked examples."""
    turns = [Message("system", _system(settings, json_schema))]
    for case in prompts.explainer_cases():
        turns.append(Message("user", _windows(case.windows, settings.show_activations)))
        turns.append(Message("assistant", _reply(case, settings.cot, json_schema)))
    return tuple(turns)


def question(record: LatentRecord, settings: ExplainSettings) -> Message:
    """The latent's train windows."""
    shown = [_shown(example, record.max_activation, settings) for example in record.train]
    return Message("user", _windows(shown, settings.show_activations))


def prompt_hash(settings: ExplainSettings, json_schema: bool) -> str:
    """Hash of the instructions: changes with their wording, what they ask for, and `FORMAT`."""
    text = json.dumps([FORMAT, instructions(settings, json_schema)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def schema(settings: ExplainSettings) -> str:
    """JSON schema of the answer, as JSON text."""
    fields = ["reasoning", "explanation"] if settings.cot else ["explanation"]
    return json.dumps(
        {
            "type": "object",
            "properties": {field: {"type": "string"} for field in fields},
            "required": fields,
            "additionalProperties": False,
        }
    )


def parse(completion: Completion) -> Explanation:
    """The explanation in an answer, or why there is none. Nothing is made up."""
    if completion.failure is not None:
        return Explanation(None, completion.failure)
    answer, finish = (completion.answer or "").strip(), completion.finish_reason
    if finish in (failures.CONTENT_FILTER, failures.REFUSAL):
        return Explanation(None, finish)
    if finish == "length":
        return Explanation(None, failures.TRUNCATED)
    if not answer:
        return Explanation(None, failures.EMPTY)
    text = _explanation(answer)
    if text is None:
        code = failures.REFUSAL if failures.is_refusal(answer) else failures.UNPARSEABLE
        return Explanation(None, code)
    return Explanation(text, None) if text else Explanation(None, failures.EMPTY)


def _explanation(answer: str) -> str | None:
    """The text behind the last marker or in the last JSON object; None without either."""
    _, marker, text = answer.rpartition(MARKER)
    if marker:
        return " ".join(text.replace("```", " ").split()).strip("*_ ")
    for start in [match.start() for match in re.finditer(r"\{", answer)][::-1]:
        try:
            found, _ = json.JSONDecoder().raw_decode(answer[start:])
        except json.JSONDecodeError:
            continue
        if isinstance(found, dict) and isinstance(found.get("explanation"), str):
            return " ".join(found["explanation"].split())
    return None


def _system(settings: ExplainSettings, json_schema: bool) -> str:
    parts = [prompts.text("explainer"), prompts.text("excerpts")]
    if settings.show_activations:
        parts.append(prompts.text("explainer_activations"))
    if settings.cot:
        parts.append(prompts.text("explainer_reasoning"))
    form = "json" if json_schema else "text"
    reasoning = "_reasoning" if json_schema and settings.cot else ""
    parts.append(prompts.text(f"explainer_answer_{form}{reasoning}"))
    return "\n\n".join(parts)


def _reply(case: prompts.ExplainerCase, cot: bool, json_schema: bool) -> str:
    if json_schema:
        thought = {"reasoning": " ".join(case.reasoning.split())} if cot else {}
        return json.dumps({**thought, "explanation": case.explanation})
    thoughts = f"{case.reasoning}\n" if cot else ""
    return f"{thoughts}{MARKER} {case.explanation}"


def _shown(
    example: Example, maximum: float, settings: ExplainSettings
) -> tuple[str, list[tuple[str, int]]]:
    marked = mark(example.activations, settings.threshold, maximum, inclusive=False)
    pairs = [
        (show(token), value)
        for token, value, is_marked in zip(
            example.str_tokens, example.normalized, marked, strict=True
        )
        if is_marked
    ]
    return highlight(example.str_tokens, marked), pairs


def _windows(
    windows: Iterable[tuple[str, Sequence[tuple[str, int]]]], show_activations: bool
) -> str:
    """Numbered windows, with the activations of their marked tokens where asked for."""
    parts = []
    for number, (text, pairs) in enumerate(windows, start=1):
        part = f"Excerpt {number}: {text}"
        if show_activations:
            listed = ", ".join(f"({json.dumps(t, ensure_ascii=False)}, {v})" for t, v in pairs)
            part += f"\nActivations: {listed}"
        parts.append(part)
    return "\n\n".join(parts)
