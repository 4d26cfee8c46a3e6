"""How many tokens a latent's prompts have, at Delphi's default counts.

    python -m benchmarks prompts [--profile demo] [--latents 0-99]

Needs the lake of the profile, as `make demo` leaves it, with its activations.

1. Choose 40 train, 50 test and 50 non-activating windows of 32 tokens for the latents named, under
   the selection `benchmark-prompts`.
2. Make the questions that explainer and scorers would ask about them, and ask nobody. One sentence
   stands in for the explanations.
3. Count the tokens of all messages with the subject model's tokenizer, and tell means a latent.
   Chat templates add a few tokens a message, which are not counted.
"""

import argparse
import statistics
from typing import Any

from transformers import AutoTokenizer

from benchmarks.parts.record import Measured, Numbers, in_unit, of
from delphi_assets.explainers.explanations import requests_to_explain
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.llm.money.estimates import Planned
from delphi_assets.models.embedded import GEMMA, gemma_folder
from delphi_assets.scorers.predictions import requests_to_score
from delphi_assets.selection.examples import select_examples
from delphi_assets.settings import Profile, load_profile, override

SELECTION, ANY_MODEL = "benchmark-prompts", "openai/any"
COUNTS = {
    "n_examples_train": 40,
    "n_examples_test": 50,
    "n_non_activating": 50,
    "n_quantiles": 10,
    "min_examples": 200,
    "example_ctx_len": 32,
}
ASKED_AT_ONCE = (5, 10, 20)
"""Windows a question; Delphi's default is the first."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose latents."""
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--latents", default="0-99")


def measure(given: argparse.Namespace) -> Measured:
    """Choose and count."""
    return Measured(_measured(load_profile(given.profile), given.latents))


def _measured(profile: Profile, latents: str) -> Numbers:
    lake, hookpoint = Lake(profile.run.lake), profile.cache.hookpoints[0]
    named = profile.model.name
    tokenizer = AutoTokenizer.from_pretrained(gemma_folder() if named == GEMMA else named)
    counts = {**COUNTS, "name": SELECTION, "latents": latents}
    selection = override(profile.selection, "benchmark", **counts)
    select_examples(profile, lake, hookpoint, selection)
    asked = parse_latents(latents)
    explain = override(profile.explain, "benchmark", explainer="default", explainer_model=ANY_MODEL)
    planned = requests_to_explain(profile, lake, hookpoint, asked, explain, SELECTION, 100)
    said = of("explain", tokens(planned, tokenizer))
    for at_once in ASKED_AT_ONCE:
        for scorer in ("detection", "fuzz"):
            score = override(
                profile.score,
                "benchmark",
                scorers=(scorer,),
                controls=(),
                scorer_model=ANY_MODEL,
                num_examples_per_scorer_prompt=at_once,
            )
            planned = requests_to_score(profile, lake, hookpoint, asked, score, SELECTION, 100)
            said |= of(f"{scorer}, {at_once} windows a question", tokens(planned, tokenizer))
    return said


def tokens(planned: Planned | None, tokenizer: Any) -> Numbers:
    """Calls and prompt tokens a latent."""
    assert planned is not None, "an LLM is asked"
    lengths = [
        sum(
            len(tokenizer(message.content, add_special_tokens=False)["input_ids"])
            for message in request.messages
        )
        for request in planned.requests
    ]
    return {
        **in_unit("latents", latents=planned.n_sampled),
        **in_unit("calls", a_latent=round(len(lengths) / planned.n_sampled, 1)),
        **in_unit(
            "tokens",
            tokens_a_latent=round(sum(lengths) / planned.n_sampled),
            tokens_a_call=round(statistics.mean(lengths)),
        ),
    }
