"""Windows as the prompts of explainers show them: numbered excerpts with their strong tokens.

In: train windows. Out: text, an excerpt a paragraph, as `highlighting` shows windows. Tokens whose
activation is above `threshold` times the latent's maximum are highlighted, and listed below with
their activation, normalized to 0-10, where `show_activations` asks for it. Negative activations
count by their magnitude and show their sign, which `explainer_signed.txt` explains where there are
any.

A question may tell which tokens are marked most often instead: small models count badly.
"""

import json
from collections.abc import Iterable, Sequence

from delphi_assets.explainers.terms import Terms
from delphi_assets.prompts import Prompts, ShownWindow
from delphi_assets.reading.highlighting import highlight, mark, show
from delphi_assets.reading.records import Example
from delphi_assets.settings import ExplainSettings

_COUNTED = 8
"""Different tokens that are counted by name."""


def shown(
    examples: Iterable[Example], maximum: float, settings: ExplainSettings
) -> list[ShownWindow]:
    """Windows with their strong tokens marked; `maximum` is the latent's strongest activation."""
    return [_shown(example, maximum, settings.threshold) for example in examples]


def _shown(example: Example, maximum: float, threshold: float) -> ShownWindow:
    marked = mark(example.activations, threshold, maximum, inclusive=False)
    pairs = [
        (show(token), value)
        for token, value, is_marked in zip(
            example.str_tokens, example.normalized, marked, strict=True
        )
        if is_marked
    ]
    return ShownWindow(highlight(example.str_tokens, marked), tuple(pairs))


def active(windows: Sequence[ShownWindow], show_activations: bool) -> str:
    """Numbered windows, with the activations of their marked tokens where asked for."""
    parts = []
    for number, (text, pairs) in enumerate(windows, start=1):
        part = f"Excerpt {number}: {text}"
        if show_activations:
            part += "\nActivations: " + ", ".join(f"({quoted(t)}, {v})" for t, v in pairs)
        parts.append(part)
    return "\n\n".join(parts)


def asked(
    name: str, windows: Sequence[ShownWindow], terms: Terms, silent_texts: Iterable[str] = ()
) -> str:
    """The question `<name>_question.txt` about windows, and those in which the latent is silent."""
    shows = terms.settings.show_activations
    return terms.prompts.question(
        name,
        excerpts=active(windows, shows),
        lines="\n".join(f"{number}. {text}" for number, (text, _) in enumerate(windows, start=1)),
        silent=silent(silent_texts),
        marked=counted((pair for _, pairs in windows for pair in pairs), show_activations=shows),
    )


def counted(pairs: Iterable[tuple[str, int]], *, show_activations: bool) -> str:
    """Marked tokens with how often they are, the most frequent first, and how strong."""
    strengths: dict[str, list[int]] = {}
    for token, strength in pairs:
        strengths.setdefault(token.strip() or token, []).append(strength)
    most = sorted(strengths.items(), key=lambda item: (-len(item[1]), item[0]))[:_COUNTED]
    parts = [_count(token, found, show_activations) for token, found in most]
    others = len(strengths) - len(most)
    return ", ".join([*parts, f"{others} others"] if others else parts)


def _count(token: str, strengths: Sequence[int], show_activations: bool) -> str:
    count = f"{quoted(token)} {len(strengths)}x"
    ends = sorted({min(strengths), max(strengths)})
    between = " to " if ends[0] < 0 else "-"
    return f"{count} {between.join(map(str, ends))}" if show_activations else count


def silent(texts: Iterable[str]) -> str:
    """Numbered windows in which the latent is silent."""
    return "\n\n".join(f"Silent excerpt {n}: {text}" for n, text in enumerate(texts, start=1))


def explained_signs(question: str, examples: Iterable[Example], prompts: Prompts) -> str:
    """A question about windows, behind what a sign means where one of them has a negative one."""
    if any(activation < 0 for example in examples for activation in example.activations):
        return f"{prompts.text('explainer_signed')}\n\n{question}"
    return question


def quoted(token: str) -> str:
    """A token between quotes, so that its spaces show."""
    return json.dumps(token, ensure_ascii=False)
