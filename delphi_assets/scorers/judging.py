"""The question that an LLM judge is asked: an explanation and a batch of items.

Instructions and worked examples come first and are the same for all latents. Windows are shown as
`highlighting` shows them. A lexical explanation comes with a sentence on how to read it.
"""

import hashlib
import json
from collections.abc import Sequence

from delphi_assets import prompts
from delphi_assets.highlighting import FORMAT, highlight, show
from delphi_assets.llm.requests import Message
from delphi_assets.scorers.items import Item
from delphi_assets.scorers.tasks import Explained
from delphi_assets.settings import LLMSettings, ScoreSettings


def messages(scorer: str, explained: Explained, items: Sequence[Item]) -> tuple[Message, ...]:
    """The prompt of `scorer` for these items."""
    description = explained.explanation
    if explained.explainer == "lexical":
        description = f"{_legend()}\n{description}"
    asked = _question(description, [_text(item) for item in items])
    return (*_instructions(scorer), Message("user", asked))


def judge_hash(settings: ScoreSettings, llm: LLMSettings, scorer: str, threshold: float) -> str:
    """Names how the judge is asked: answers to other questions are not to be mixed with its own.

    Hash of the instructions and of every setting that changes the question or how it is answered,
    but for `max_tokens`. The lexical judge has no settings; `threshold` changes what fuzzing shows.
    """
    shown = {"threshold": threshold} if scorer == "fuzz" else {}
    if settings.scorer_model == "lexical":
        return " ".join(["lexical", *(f"{name} {value}" for name, value in shown.items())])
    asked = {
        "format": FORMAT,
        "instructions": _instructions(scorer),
        "legend": _legend(),
        "temperature": llm.temperature,
        "json_schema": llm.json_schema,
        "log_prob": settings.log_prob,
        "num_examples_per_scorer_prompt": settings.num_examples_per_scorer_prompt,
        **shown,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def schema(count: int) -> str:
    """JSON schema, as JSON text, of the answer to `count` items."""
    return json.dumps(
        {
            "type": "object",
            "properties": {
                "answers": {
                    "type": "array",
                    "items": {"type": "integer", "enum": [0, 1]},
                    "minItems": count,
                    "maxItems": count,
                }
            },
            "required": ["answers"],
            "additionalProperties": False,
        }
    )


def _instructions(scorer: str) -> tuple[Message, ...]:
    system = "\n\n".join([prompts.text(scorer), prompts.text("excerpts")])
    turns = [Message("system", system)]
    for case in prompts.scorer_cases(scorer):
        turns.append(Message("user", _question(case.explanation, case.windows)))
        turns.append(Message("assistant", json.dumps({"answers": case.answers})))
    return tuple(turns)


def _legend() -> str:
    return prompts.text("lexical")


def _text(item: Item) -> str:
    if item.marked is None:
        return show("".join(item.str_tokens))
    return highlight(item.str_tokens, item.marked)


def _question(description: str, windows: Sequence[str]) -> str:
    numbered = [f"Excerpt {number}: {text}" for number, text in enumerate(windows, start=1)]
    return "\n\n".join([f"Description: {description}", *numbered])
