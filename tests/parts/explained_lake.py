"""A small lake with examples of a few latents, and profiles to explain and score them with.

Latent i fires on the token " word<i>" and nowhere else.
"""

from pathlib import Path
from typing import NamedTuple

from delphi_assets.explainers.terms import Terms
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import CONTEXTS, EXAMPLES, VOCABULARY
from delphi_assets.prompts import Prompts
from delphi_assets.reading.records import Example, LatentRecord
from delphi_assets.settings import ExplainSettings, Profile, parse_profile

RUN, HOOKPOINT, SELECTION = "tiny", "layers.3", "default"
KEYS: dict[str, str | int] = {"run": RUN, "hookpoint": HOOKPOINT, "selection": SELECTION}
WINDOW = 8
N_TRAIN, N_TEST, N_SILENT = 4, 6, 6


class Sizes(NamedTuple):
    """How many windows of each kind a latent has."""

    train: int
    test: int
    silent: int
    train_silent: int = 0


USUAL = Sizes(N_TRAIN, N_TEST, N_SILENT)


def window(latent: int, number: int, activating: bool) -> tuple[list[str], list[float]]:
    """Tokens and activations of a window: filler, with the latent's word at a varying place."""
    tokens = [f" filler{(number * 5 + place) % 17}" for place in range(WINDOW)]
    activations = [0.0] * WINDOW
    if activating:
        place = (number * 3 + latent) % WINDOW
        tokens[place], activations[place] = f" word{latent}", 10.0 - number / 4
    return tokens, activations


def example(latent: int, number: int, split: str, activating: bool) -> Example:
    """An example of a latent; `number` is its index."""
    tokens, activations = window(latent, number, activating)
    return Example(
        example=number,
        activating=activating,
        split=split,
        source="quantiles" if activating else "random",
        quantile=number % 2 if activating else None,
        position=(latent * 1000 + number) * WINDOW,
        tokens=[100 + latent if value else 1 for value in activations],
        str_tokens=tokens,
        activations=activations,
        normalized=[-int(-value // 1) for value in activations],
        max_activation=max(activations),
        latent_max=10.0,
    )


def record(latent: int, sizes: Sizes = USUAL) -> LatentRecord:
    """The latent's record, as `Selection.records` gives it back."""
    kinds = [
        *[("train", True)] * sizes.train,
        *[("test", True)] * sizes.test,
        *[("test", False)] * sizes.silent,
        *[("train", False)] * sizes.train_silent,
    ]
    return LatentRecord(
        latent,
        [example(latent, number, split, active) for number, (split, active) in enumerate(kinds)],
    )


def make_lake(root: Path, n_latents: int = 6, sizes: Sizes = USUAL) -> Lake:
    """A lake with the examples of `n_latents` latents, and the corpus counts lexical needs."""
    lake = Lake(root / "lake")
    rows: list[dict[str, object]] = [
        {"latent": latent, **vars(one)}
        for latent in range(n_latents)
        for one in record(latent, sizes).examples
    ]
    buckets = {"n_buckets": 1}
    lake.publish(Unit("examples", KEYS), [File(EXAMPLES.from_rows(rows))], config=buckets)
    tokens = [token for latent in range(n_latents) for token in [1] * 30 + [100 + latent]]
    context: dict[str, object] = {
        "context": 0,
        "tokens": tokens,
        "document_ids": ["all"],
        "document_starts": [0],
    }
    run = {"run": RUN}
    lake.publish(
        Unit("contexts", {**run, "shard": 0}), [File(CONTEXTS.from_rows([context]))], config={}
    )
    words: list[dict[str, object]] = [
        {"token": token, "str_token": text, "special": False, "count": tokens.count(token)}
        for token, text in [
            *((number, f" filler{number}") for number in range(100)),
            *((100 + latent, f" word{latent}") for latent in range(n_latents)),
        ]
    ]
    lake.publish(Unit("vocabulary", run), [File(VOCABULARY.from_rows(words))], config={})
    return lake


def terms(**settings: object) -> Terms:
    """What an explainer is given, with these settings of the section [explain]."""
    explain = ExplainSettings.model_validate({"explainer_model": "openai/m", **settings})
    return Terms(
        profile(), Lake("nowhere"), HOOKPOINT, SELECTION, explain, Prompts(explain.prompts)
    )


def add_hookpoint(lake: Lake, hookpoint: str, latents: range) -> None:
    """The examples of latents of another hookpoint."""
    rows: list[dict[str, object]] = [
        {"latent": latent, **vars(one)} for latent in latents for one in record(latent).examples
    ]
    unit = Unit("examples", {**KEYS, "hookpoint": hookpoint})
    lake.publish(unit, [File(EXAMPLES.from_rows(rows))], config={"n_buckets": 1})


def profile(**llm: object) -> Profile:
    """A profile of the lake; `llm` are settings of its section [llm]."""
    return parse_profile(
        {
            "run": {"name": RUN},
            "model": {"name": "none"},
            "corpus": {"dataset_repo": "none"},
            "cache": {"hookpoints": [HOOKPOINT], "cache_ctx_len": 32, "shard_tokens": 32},
            "coder": {"sparse_model": "none"},
            "selection": {"example_ctx_len": WINDOW},
            "llm": llm,
        }
    )
