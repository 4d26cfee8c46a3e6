"""Latents that need no LLM: which, with what label, and that nobody is asked about them."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from delphi_assets import connect
from delphi_assets.explainers.explanations import explain, requests_to_explain
from delphi_assets.explainers.routes import routed
from delphi_assets.lake.database import query
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import EXAMPLES, LATENTS
from delphi_assets.latent_ranges import Latents, parse_latents, parse_wanted
from delphi_assets.runs.trial import try_latent
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts.explained_lake import (
    HOOKPOINT,
    KEYS,
    RUN,
    SELECTION,
    example,
    make_lake,
    profile,
    terms,
)
from tests.parts.fault_server import Asked, FaultServer, Reply
from tests.parts.hand_built import latent

pytestmark = pytest.mark.slow

ROUTES = ("dense", "position", "token", "word")
LLM = ExplainSettings(explainer_model="openai/tiny")
ROUTED = LLM.model_copy(update={"routes": ROUTES})
PLACE = {"run": RUN, "hookpoint": HOOKPOINT}


class Known(NamedTuple):
    """What the table latents says of a latent."""

    top_token: str
    recall: float = 0.9
    density: float = 0.01
    first: float = 0.0
    contexts: float = 0.2


def described(lake: Lake, known: dict[int, Known]) -> Lake:
    rows = [
        {
            name: latent(
                index,
                {one.top_token: 0.9},
                top_token_recall=one.recall,
                token_density=one.density,
                first_token_share=one.first,
                context_density=one.contexts,
            ).get(name)
            for name in LATENTS.arrow.names
        }
        for index, one in known.items()
    ]
    lake.publish(Unit("latents", dict(PLACE)), [File(LATENTS.from_rows(rows))], config={})
    return lake


def shown_lake(root: Path, windows: dict[int, list[tuple[str, list[tuple[str, float]]]]]) -> Lake:
    """A lake with examples: by latent, splits with tokens and activations."""
    rows: list[dict[str, object]] = []
    for index, of in windows.items():
        for number, (split, tokens) in enumerate(of):
            made = example(index, number, split, activating=True)
            texts, activations = [token for token, _ in tokens], [value for _, value in tokens]
            changed = {"str_tokens": texts, "activations": activations}
            rows.append({"latent": index, **vars(made), **changed})
    lake = Lake(root / "lake")
    lake.publish(Unit("examples", KEYS), [File(EXAMPLES.from_rows(rows))], config={"n_buckets": 1})
    return lake


def found(lake: Lake, **thresholds: float) -> list[dict[str, Any]]:
    given = {"share": 0.8, "recall": 0.5, "density": 0.1, "first": 0, "last": 1_000, **thresholds}
    files = lake.files("examples", **KEYS)
    with connect(lake) as con:
        rows: list[dict[str, Any]] = query(
            con, "explanations/routes", **PLACE, files=files, **given
        ).to_pylist()
    return rows


def test_routes_by_hand(tmp_path: Path) -> None:
    """Each latent for one reason; what scorers judge counts for nothing."""
    on_the = [("train", [(" the", 9.0), (" of", 1.0)])]
    windows = {
        0: [*on_the, ("test", [(" of", 90.0)])],
        1: [("train", [(" return", 3.0), (" Returns", 3.0), ("returned", -3.0), (" a", 1.0)])],
        2: on_the,
        3: on_the,
        4: on_the,
        5: [("train", [("a", 4.0), ("b", 4.0), ("c", 1.0)])],
        6: [("train", [(" ", 4.0), ("  ", 4.0), ("\n", 1.0)])],
        7: on_the,
    }
    known = {
        0: Known(" the"),
        1: Known(" Returns"),
        2: Known(" the", density=0.1),
        3: Known(" the", first=0.8, contexts=0.5),
        4: Known(" the", recall=0.4),
        5: Known("a"),
        6: Known(" "),
        7: Known(" of"),
    }
    lake = described(shown_lake(tmp_path, windows), known)
    rows = {row["latent"]: row for row in found(lake)}
    assert {index: row["route"] for index, row in rows.items()} == {
        0: "token",
        1: "word",
        2: "dense",
        3: "position",
    }
    assert (rows[0]["forms"], rows[0]["share"], rows[0]["n_shown"]) == ([" the"], 0.9, 1)
    assert (rows[1]["forms"], rows[1]["share"]) == ([" Returns", " return", "returned"], 0.9)
    assert rows[3]["recall"] == 0.5
    assert [row["latent"] for row in found(lake, share=0.95)] == [2]


def test_tokens_and_words_against_brute_force(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    tokens = [" word", "word", " Words", "wording", " a", "A", "\n", " ", "x", " the", "The"]
    windows = {
        index: [
            (
                str(draw.choice(["train", "test"], p=[0.8, 0.2])),
                [
                    (str(token), float(draw.choice([0.0, -2.0, 1.0, 40.0])))
                    for token in draw.choice(tokens, 6)
                ],
            )
            for _ in range(3)
        ]
        for index in range(60)
    }
    expected = {}
    for index, of in windows.items():
        mass: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for split, window in of:
            for token, value in window if split == "train" else []:
                if value:
                    bare = token.strip(" ").lower()
                    stem = re.sub(r"^(.{4,}?)(e|es|s|ed|ing)$", r"\1", bare)
                    mass[stem if stem else token][token] += abs(value)
        if not mass:
            continue
        ((_, forms),) = sorted(mass.items(), key=lambda one: -sum(one[1].values()))[:1]
        total = sum(sum(one.values()) for one in mass.values())
        if max(forms.values()) >= 0.6 * total:
            expected[index] = "token"
        elif sum(forms.values()) >= 0.6 * total:
            expected[index] = "word"
    assert set(expected.values()) == {"token", "word"}
    lake = shown_lake(tmp_path, windows)
    described(lake, {index: Known("any") for index in windows})
    rows = found(lake, share=0.6, recall=0.0)
    assert {row["latent"]: row["route"] for row in rows} == expected


def labels(lake: Lake, **settings: object) -> dict[int, tuple[str, str, str]]:
    asked = terms(routes=ROUTES, **settings)
    made = routed(type(asked)(**{**vars(asked), "lake": lake}), range(20))
    return {index: (one.route, one.text, one.reason) for index, one in made.items()}


def test_labels_and_reasons_by_hand(tmp_path: Path) -> None:
    windows = {
        0: [("train", [(" the", 9.0), (" of", 1.0)])],
        1: [("train", [(" return", 3.0), (" Returns", 5.0), ("return", 1.0), (" a", 1.0)])],
        2: [("train", [(" the", 9.0)])],
        3: [("train", [(" the", 9.0)])],
        4: [("train", [("\n", 9.0)])],
        5: [("train", [(" so", 5.0), ("So", 4.0)])],
    }
    known = {
        0: Known(" the"),
        1: Known(" Returns"),
        2: Known(" the", density=0.25),
        3: Known(" the", first=0.97, contexts=0.6),
        4: Known("\n"),
        5: Known(" so"),
    }
    lake = described(shown_lake(tmp_path, windows), known)
    assert labels(lake) == {
        0: (
            "token",
            "The token “the”.",
            "90% of its activation in train windows is on “the”, and it fires on 90% of that "
            "token's occurrences",
        ),
        1: (
            "word",
            "The token “Returns”, also as “return”.",
            "90% of its activation in train windows is on 3 forms of one word, and it fires on 90% "
            "of the occurrences of “Returns”",
        ),
        2: (
            "dense",
            "No one pattern: it fires on 25% of all tokens.",
            "it fires on 25.0% of all tokens",
        ),
        3: (
            "position",
            "The first token of a context, whatever it is.",
            "97% of its activation is on the first token of a context, and it fires in 60% of the "
            "contexts",
        ),
        4: (
            "token",
            "A line break.",
            "100% of its activation in train windows is on a line break, and it fires on 90% of "
            "that token's occurrences",
        ),
        5: (
            "word",
            "The token “so”, also as “So”.",
            "100% of its activation in train windows is on 2 forms of one word, and it fires on "
            "90% of the occurrences of “so”",
        ),
    }
    assert set(labels(lake, route_recall=0.95)) == {2}


def answer(asked: Asked) -> Reply:
    word = next(part for part in asked.prompt.split() if part.startswith("word")).rstrip(">")
    return Reply(f"[EXPLANATION]: Text with {word}.")


def whole_lake(root: Path) -> Lake:
    """Six latents of a token each; of the last two the token's other occurrences are silent."""
    recalls = [0.9, 0.9, 0.9, 0.9, 0.1, 0.1]
    known = {index: Known(f" word{index}", recall) for index, recall in enumerate(recalls)}
    return described(make_lake(root), known)


def stored(lake: Lake) -> list[tuple[int, str, str | None, str]]:
    rows: list[tuple[int, str, str | None, str]] = (
        connect(lake)
        .sql(
            "select latent, explainer_model, route, explanation from explanations "
            "order by latent, explainer_model"
        )
        .fetchall()
    )
    return rows


def test_who_needs_no_llm_is_not_asked_about(tmp_path: Path) -> None:
    lake = whole_lake(tmp_path)
    with FaultServer(answer) as server:
        given = profile(api_base=server.url)

        def run(settings: ExplainSettings, latents: Latents) -> tuple[int, int]:
            report = explain(given, lake, HOOKPOINT, latents, settings, SELECTION)
            return report.new_rows, len(server.asked)

        # What an LLM has explained stays as it is.
        assert run(LLM, parse_latents("0")) == (1, 1)
        assert run(ROUTED, parse_latents("0-4")) == (4, 2)
        assert run(ROUTED, parse_latents("0-4")) == (0, 2)
        assert stored(lake) == [
            (0, "openai/tiny", None, "Text with word0."),
            *((n, "routes", "token", f"The token “word{n}”.") for n in (1, 2, 3)),
            (4, "openai/tiny", None, "Text with word4."),
        ]
        # Without routes an LLM is wanted for the others too.
        assert run(LLM, parse_latents("0-4")) == (3, 5)
        report = explain(given, lake, HOOKPOINT, parse_latents("0-4"), ROUTED, SELECTION)
        assert (report.new_rows, report.facts["without_llm"]) == (0, 3)


def test_the_next_latents_are_those_that_were_asked_for(tmp_path: Path) -> None:
    """A label makes no room for another latent."""
    lake = whole_lake(tmp_path)
    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        report = explain(given, lake, HOOKPOINT, parse_wanted("next 5"), ROUTED, SELECTION)
        assert (report.new_rows, len(server.asked)) == (5, 1)
        assert {row[0] for row in stored(lake)} == {0, 1, 2, 3, 4}


def test_only_routes_that_are_named_and_only_for_llms(tmp_path: Path) -> None:
    lake = whole_lake(tmp_path)
    words = LLM.model_copy(update={"routes": ("word",)})
    given = profile()
    planned = requests_to_explain(given, lake, HOOKPOINT, "all", words, SELECTION, 6)
    assert planned is not None
    assert planned.n_latents == 6
    planned = requests_to_explain(given, lake, HOOKPOINT, "all", ROUTED, SELECTION, 6)
    assert planned is not None
    assert (planned.n_latents, len(planned.requests)) == (2, 2)
    counting = ExplainSettings(explainer="lexical", routes=ROUTES)
    explain(given, lake, HOOKPOINT, parse_latents("0-4"), counting, SELECTION)
    assert {route for _, _, route, _ in stored(lake)} == {None}


def test_a_latent_that_was_not_described_has_no_route(tmp_path: Path) -> None:
    lake = shown_lake(tmp_path, {index: [("train", [("a", 1.0)])] for index in (0, 1)})
    assert [row["latent"] for row in found(described(lake, {1: Known("a")}))] == [1]


def test_trying_a_latent_shows_the_label(tmp_path: Path) -> None:
    """Nobody is asked to explain it, and the judge that is asked by a run would read the label."""
    lake, scored = whole_lake(tmp_path), ScoreSettings(scorers=("detection",))
    given = profile().model_copy(update={"explain": ROUTED, "score": scored})
    tried = try_latent(given, lake, HOOKPOINT, 1)
    assert (tried.explainer.by, tried.explainer.messages) == ("default, routes", ())
    assert tried.explainer.read.splitlines()[0] == "The token “word1”."
    assert tried.judge.read == "nothing is judged: this judge reads no explanation by 'default'"
