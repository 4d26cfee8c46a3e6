"""Statements that show what was written last, with a clock that went back.

The lake: latents 0 and 1 are explained twice, and two explainers failed on latent 2; what came
second says that it was written two hours before the first. Latent 3 is explained once, at first.
The second explanation of latent 0 was judged in two ways, which differ by two hours alike.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import duckdb
import pytest

from delphi_assets.lake.database import Parameter, connect, query
from delphi_assets.lake.lake import Lake
from tests.parts.hand_built import (
    HOOKPOINT,
    RUN,
    WRITTEN,
    add,
    answers,
    explanation,
    latent,
    publish,
)

BEFORE, AFTER = WRITTEN - timedelta(hours=2), WRITTEN + timedelta(hours=2)
RIGHT, WRONG = ([(True, said), (False, not said)] for said in (True, False))


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the lake of the module's docstring."""
    lake = Lake(tmp_path_factory.mktemp("latest"))
    lake.initialize()
    latents = [latent(i, {}, n_activations=100, position_bias=0.4) for i in range(4)]
    publish(lake, "latents", latents)
    pairs = [
        {"latent": one, "neighbour": 1 - one, "rank": 1, "similarity": 0.9} for one in range(2)
    ]
    publish(lake, "neighbours", pairs, method="decoder")
    add(
        lake,
        "explanations",
        [
            *(explanation(f"z{i}", i, "first") for i in range(2)),
            explanation("z2", 2, None, failure="first"),
            explanation("z3", 3, "only", written_at=AFTER),
        ],
    )
    last = [
        *(explanation(f"a{i}", i, "last", written_at=BEFORE) for i in range(2)),
        explanation("a2", 2, None, failure="last", written_at=BEFORE),
    ]
    add(lake, "explanations", last)
    add(lake, "predictions", answers("a0", 0, WRONG, judge_hash="z"))
    add(lake, "predictions", answers("a0", 0, RIGHT, judge_hash="a", written_at=BEFORE))
    with connect(lake) as opened:
        yield opened


class Latest(NamedTuple):
    """A statement, its parameters, and what it gives in some of its columns."""

    statement: str
    parameters: dict[str, Parameter]
    columns: tuple[str, ...]
    expected: list[tuple[object, ...]]


ANY: dict[str, Parameter] = {"selection": None, "explainer": None, "explainer_model": None}
SELECTED = {"selection": "default"}
LATEST = (
    Latest(
        "analysis/neighbours_alike",
        {"n_rows": 9},
        ("explanation", "neighbour_explanation"),
        [("last", "last")],
    ),
    Latest(
        "analysis/positional_latents",
        {"n_rows": 9},
        ("latent", "explanation"),
        [(0, "last"), (1, "last"), (2, None), (3, "only")],
    ),
    Latest("analysis/never_explained", {"n_rows": 9}, ("latent", "reason"), [(2, "last")]),
    Latest(
        "analysis/runs_compared",
        {"other_run": RUN, "scorer": "detection", "n_rows": 1},
        ("explanation", "score", "other_score"),
        [("last", 1.0, 1.0)],
    ),
    Latest(
        "delphi/explanations",
        ANY,
        ("latent", "explanation"),
        [(0, "last"), (1, "last"), (3, "only")],
    ),
    Latest(
        "delphi/predictions",
        {"first": 0, "last": 9, "judge": None},
        ("truth", "prediction"),
        [(True, True), (False, False)],
    ),
    Latest(
        "explorer/explanations",
        {"first": 0, "last": 1},
        ("explanation_id", "shown"),
        [("a0", True), ("z0", False)],
    ),
    Latest("hookpoint/explanations", {"latent": 0}, ("explanation_id",), [("a0",), ("z0",)]),
    Latest(
        "predictions/alternatives",
        {**SELECTED, "method": "decoder", "n_alternatives": 1},
        ("explanation_id", "alternatives"),
        [("a0", ["a1"]), ("a1", ["a0"]), ("z0", ["a1"]), ("z1", ["a0"])],
    ),
    Latest(
        "ui/latest_explanations",
        {**SELECTED, "n_latents": 2},
        ("latent", "explanation"),
        [(0, "last"), (0, "first"), (1, "last"), (1, "first")],
    ),
)


@pytest.mark.parametrize("latest", LATEST, ids=lambda latest: latest.statement)
def test_the_last_one_counts(con: duckdb.DuckDBPyConnection, latest: Latest) -> None:
    place: dict[str, Parameter] = {"run": RUN, "hookpoint": HOOKPOINT}
    rows = query(con, latest.statement, **place, **latest.parameters).to_pylist()
    assert [tuple(row[name] for name in latest.columns) for row in rows] == latest.expected
