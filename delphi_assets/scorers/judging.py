"""The question that an LLM judge is asked: an explanation and a batch of items.

Instructions and worked examples come first and are the same for all latents.
"""

import json
from collections.abc import Sequence

from delphi_assets import prompts
from delphi_assets.highlighting import highlight
from delphi_assets.llm.requests import Message
from delphi_assets.scorers.items import Item


def messages(scorer: str, explanation: str, items: Sequence[Item]) -> tuple[Message, ...]:
    """The prompt of `scorer` for these items."""
    turns = [Message("system", prompts.text(scorer))]
    for case in prompts.scorer_cases(scorer):
        turns.append(Message("user", _question(case.explanation, case.windows)))
        turns.append(Message("assistant", json.dumps({"answers": case.answers})))
    turns.append(Message("user", _question(explanation, [_text(item) for item in items])))
    return tuple(turns)


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


def _text(item: Item) -> str:
    if item.marked is None:
        return "".join(item.str_tokens)
    return highlight(item.str_tokens, item.marked)


def _question(explanation: str, windows: Sequence[str]) -> str:
    numbered = [f"Excerpt {number}: {text}" for number, text in enumerate(windows, start=1)]
    return "\n".join([f"Description: {explanation}", "", *numbered])
