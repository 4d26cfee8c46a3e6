"""A lake in which every latent is another case and texts try to become code; reading of sites."""

import json
import re
from pathlib import Path
from typing import Any

from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import COMPLETIONS
from tests.parts.hand_built import (
    HOOKPOINT,
    RUN,
    WRITTEN,
    Row,
    answers,
    explanation,
    latent,
    publish,
    window,
)

PLANTED = "<script>planted()</script><img src=x onerror=planted()>"
"""What would run if a text became part of a page."""
ODD = ["</script>", PLANTED, "\u2028", "\u202eright", "🙂", "\n", '"', "__proto__", "\\", "&lt;"]
"""Tokens that are hard to show."""
JSON_PROMPT = json.dumps(
    [{"role": "system", "content": "Say what fires."}, {"role": "user", "content": PLANTED}]
)
ODD_HOOKPOINT = "layers/../0 <b>%2F?#"

SCORED, FAILED, RARE, DEAD, WAITING, EXPLAINED = range(6)
FAR = 45
"""A latent on another page than the others."""

LATENTS = [
    latent(
        SCORED,
        {token: 0.3 / place for place, token in enumerate(ODD, 1)},
        n_activations=100,
        token_density=0.01,
        max_activation=5.0,
        min_activation=0.5,
        activation_histogram=[60, *[2] * 19, 2],
        nearest_neighbour=FAR,
    ),
    latent(FAILED, {" the": 0.5}, n_activations=200, token_density=0.02, max_activation=3.0),
    latent(
        RARE,
        {" x": 1.0},
        n_activations=4,
        token_density=0.0004,
        max_activation=float("inf"),
    ),
    latent(DEAD, {}, n_activations=0, token_density=0.0, reason="dead"),
    latent(WAITING, {" wait": 1.0}, n_activations=50, token_density=0.005, max_activation=2.0),
    latent(EXPLAINED, {" said": 1.0}, n_activations=60, token_density=0.006, max_activation=1.0),
    latent(FAR, {" far": 1.0}, n_activations=70, token_density=0.007, max_activation=4.0),
]
ELIGIBILITY: list[Row] = [
    {"latent": RARE, "code": "too_few_windows", "n_windows": 4, "min_examples": 60},
    {"latent": SCORED, "code": "eligible", "n_windows": 90, "min_examples": 60},
]
EXPLANATIONS = [
    explanation("e0", SCORED, f"counted {PLANTED}\nsecond line"),
    explanation("g0", SCORED, f"Python {PLANTED} \u2029 definitions", "org/gpt", request="r1"),
    explanation("g1", FAILED, None, "org/gpt", failure=f"refused {PLANTED}", request="r2"),
    explanation("e5", EXPLAINED, "the verb said"),
    explanation("e45", FAR, "far away"),
]
TRUTHS = (True, True, False, False)
PREDICTIONS = [
    # Balanced accuracy 1; the shuffled one 0.5.
    *(
        {**row, "quantile": row["example"] if row["truth"] else None}
        for row in answers("e0", SCORED, zip(TRUTHS, (0.9, 0.8, 0.1, 0.2), strict=True))
    ),
    *answers("e45", SCORED, zip(TRUTHS, (0.4,) * 4, strict=True), control="shuffled"),
    # One failed, one wrong, two right.
    *answers(
        "g0",
        SCORED,
        zip(TRUTHS, ("timeout", True, True, False), strict=True),
        model="org/gpt",
        request="r3",
    ),
    # Recall 0.5, specificity 0.5.
    *answers("e45", FAR, zip(TRUTHS, (0.9, float("nan"), 0.7, 0.1), strict=True)),
]
LABELS: list[Row] = [
    {"latent": SCORED, "name": "note", "value": f"seen {PLANTED}\nsecond line"},
    {"latent": DEAD, "name": "note", "value": "quiet"},
    {"latent": SCORED, "name": "rating", "value": "4.50", "number": 4.5},
    {"latent": FAR, "name": "rating", "value": "123457", "number": 123_457.0},
    {"latent": FAILED, "name": "__proto__", "value": "\u202eright"},
]
CALLS: list[Row] = [
    {
        "request": request,
        "role": role,
        "model": "org/gpt",
        "messages": JSON_PROMPT,
        "answer": None if request == "r2" else f"raw answer {PLANTED}",
        "error": "refused" if request == "r2" else None,
        "prompt_tokens": 100,
        "written_at": WRITTEN,
    }
    for request, role in (("r1", "explainer"), ("r2", "explainer"), ("r3", "detection"))
]


def _windows() -> list[Row]:
    """Windows of the scored latent, with odd tokens, and of the far one."""
    odd = {"str_tokens": ODD, "tokens": list(range(len(ODD)))}
    silent = [0.0] * len(ODD)
    loud = [0.0, 5.0, 0.0, 2.5, 0.0, float("nan"), 0.0, 0.5, 0.0, 0.0]
    shown = [
        window(SCORED, 0, "test", 0, loud, quantile=0, **odd),
        window(SCORED, 1, "test", 100, [0.0, 1.0, 0.0], quantile=1),
        window(SCORED, 2, "test", 200, [0.0, 0.0, 0.0]),
        window(SCORED, 3, "test", 300, silent, neighbour=FAR, similarity=0.5, **odd),
        window(SCORED, 4, "train", 400, [4.0, 0.0], quantile=0),
    ]
    for row in shown:
        row["normalized"] = [int(2 * value) if value > 0 else 0 for value in row["activations"]]  # type: ignore[attr-defined]
    return [*shown, *(window(FAR, at, "test", 1_000 + at, [float(at < 2)]) for at in range(4))]


NEIGHBOURS: list[Row] = [
    {"latent": SCORED, "neighbour": FAR, "rank": 1, "similarity": 0.5},
    {"latent": SCORED, "neighbour": DEAD, "rank": 2, "similarity": 0.25},
]


def write_lake(folder: Path, **place: str) -> Lake:
    """The lake, at hand_built's run and hookpoint unless `place` says otherwise."""
    lake = Lake(folder)
    lake.initialize()
    publish(lake, "latents", LATENTS, **place)
    publish(lake, "eligibility", ELIGIBILITY, selection="default", **place)
    publish(lake, "explanations", EXPLANATIONS, **place)
    publish(lake, "predictions", PREDICTIONS, **place)
    publish(lake, "examples", _windows(), selection="default", **place)
    publish(lake, "neighbours", NEIGHBOURS, method="co-occurrence", **place)
    publish(lake, "labels", LABELS, source="alice", **place)
    calls = [{name: row.get(name) for name in COMPLETIONS.arrow.names} for row in CALLS]
    lake.append(COMPLETIONS, {"run": place.get("run", RUN)}, COMPLETIONS.from_rows(calls))
    return lake


def read_data(site: Path, key: str, run: str = RUN, hookpoint: str = HOOKPOINT) -> Any:
    """The value of a data file of a site, as the page gets it."""
    (place,) = (
        place for place in index(site) if (place["run"], place["hookpoint"]) == (run, hookpoint)
    )
    return value_of(site / place["folder"] / f"{key}.js", key)


def index(site: Path) -> list[dict[str, Any]]:
    """The places of a site."""
    held: list[dict[str, Any]] = value_of(site / "data" / "index.js", "index")
    return held


def value_of(path: Path, key: str) -> Any:
    """The JSON in a data file that gives the page `key`."""
    match = re.fullmatch(r'explorerData\("(.*?)", (.*)\);\n', path.read_text("utf-8"), re.DOTALL)
    assert match is not None
    assert match[1] == key
    return json.loads(match[2])
