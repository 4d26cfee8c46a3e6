"""The statement of `sql/analysis/` about latents that need no LLM: by hand."""

from pathlib import Path

import pytest

from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import Lake
from tests.parts.hand_built import PLACE, Row, add, answers, explanation, latent, publish

TRUTHS = (True, True, False, False)
RIGHT, HALF, WRONG = "yynn", "ynnn", "nnyy"
"""Balanced accuracies of 1, 0.75 and 0."""


def asked(identity: str, index: int, n_tokens: int) -> Row:
    told = {"request": identity, "prompt_tokens": n_tokens, "completion_tokens": 10}
    return explanation(identity, index, "text", "gpt", **told)


def labelled(identity: str, index: int, route: str) -> Row:
    return explanation(identity, index, "The token “a”.", "routes", route=route)


def judged(identity: str, index: int, verdicts: str, **columns: object) -> list[Row]:
    given = zip(TRUTHS, (verdict == "y" for verdict in verdicts), strict=True)
    # Its other parameters, which are text, are not among the columns here.
    return answers(identity, index, list(given), **columns)  # type: ignore[arg-type]


def test_latents_by_route(tmp_path: Path) -> None:
    """Latents 0 and 1 have labels, 0 a text by the LLM too; 2 has one alone, 3 is dead."""
    lake = Lake(tmp_path)
    dead = latent(3, {}, n_activations=0, reason="dead")
    publish(lake, "latents", [*(latent(index, {"a": 1.0}) for index in range(3)), dead])
    told = [
        labelled("t0", 0, "token"),
        labelled("t1", 1, "token"),
        asked("g0", 0, 90),
        asked("g2", 2, 190),
        explanation("x1", 1, "counted"),
    ]
    add(lake, "explanations", told)
    said = [
        *judged("t0", 0, RIGHT),
        *judged("t0", 0, HALF, control="shuffled"),
        *judged("t1", 1, HALF),
        *judged("g0", 0, WRONG),
        *judged("g0", 0, RIGHT, model="other"),
        *judged("g2", 2, HALF),
        *judged("x1", 1, RIGHT),
    ]
    add(lake, "predictions", said)
    columns = (
        "explainer", "route", "n_latents", "share", "tokens_saved", "n_scored", "own", "shuffled",
        "n_both", "label", "by_llm",
    )  # fmt: skip
    with connect(lake) as con:
        found = query(
            con, "analysis/latents_by_route", **PLACE, selection="default", scorer="detection"
        ).to_pylist()
    assert [tuple(row[column] for column in columns) for row in found] == [
        # The LLM took 100 and 200 tokens; of latent 0 by two judges, 0 and 1, then 0.75.
        ("default", "asked", 2, 0.5, None, 2, pytest.approx((0.5 + 0.75) / 2), None, 0, None, None),
        ("default", "token", 2, 0.5, 300, 2, 0.875, 0.75, 1, 1.0, 0.0),
        (None, "dead", 1, 0.25, None, 0, None, None, 0, None, None),
    ]
