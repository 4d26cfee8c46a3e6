"""Statements of `sql/analysis/` about the cards of judges."""

from pathlib import Path
from typing import Any

import pytest

from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import Lake
from tests.parts.hand_built import PLACE, WRITTEN, Row, add, answers, explanation

RIGHT = [(True, True), (True, True), (False, False), (False, False)]
HALF = [(True, True), (True, False), (False, False), (False, False)]


def card(judge: str, auroc: float, reach: float | None, **columns: object) -> Row:
    """A card of a judge that judged detection."""
    return {
        "planted_run": "planted",
        "scorer": "detection",
        "judge": judge,
        "judge_hash": "asked",
        "auroc": auroc,
        "auroc_low": None if reach is None else auroc - reach,
        "auroc_high": None if reach is None else auroc + reach,
        "bias": 0.25,
        "written_at": WRITTEN,
        **columns,
    }


def test_scores_beside_cards(tmp_path: Path) -> None:
    """Knows, twice calibrated; at chance; on few latents; useless; without a card; no LLM."""
    lake = Lake(tmp_path)
    add(lake, "explanations", [explanation("e0", 0, "a"), explanation("e1", 1, "b")])
    add(lake, "predictions", answers("e0", 0, RIGHT, model="counting"))
    for judge in ("few", "guessing", "knowing", "unknown", "useless"):
        add(lake, "predictions", answers("e0", 0, RIGHT, model=judge, request="r"))
    add(lake, "predictions", answers("e1", 1, HALF, model="knowing", request="r"))
    silent: list[tuple[bool, float | bool | str]] = [(truth, False) for truth, _ in RIGHT]
    add(lake, "predictions", answers("e0", 1, silent, model="knowing", control="shuffled"))
    cards = [
        card("knowing", 0.9, 0.1),
        card("knowing", 0.7, 0.3, planted_run="own"),
        card("guessing", 0.55, 0.1),
        card("few", 0.9, None),
        {**card("useless", 0.5, None), "auroc": None, "failed_share": 1.0},
        # Of another way to ask: beside no score.
        card("unknown", 0.9, 0.1, judge_hash="otherwise"),
    ]
    add(lake, "judges", cards)
    with connect(lake) as con:
        rows: list[dict[str, Any]] = query(con, "analysis/scores_beside_cards", **PLACE).to_pylist()
    assert [
        (row["judge"], row["planted_run"], row["n_latents"], row["score"], row["verdict"])
        for row in rows
    ] == [
        ("counting", None, 1, 1.0, None),
        ("few", "planted", 1, 1.0, "on too few latents"),
        ("guessing", "planted", 1, 1.0, "at chance"),
        ("knowing", "own", 2, 0.875, "at chance"),
        ("knowing", "planted", 2, 0.875, "tells windows apart"),
        ("unknown", None, 1, 1.0, "never calibrated"),
        ("useless", "planted", 1, 1.0, "no usable answer"),
    ]
    assert [row["judge_bias"] for row in rows] == [None, 0.25, 0.25, 0.25, 0.25, None, 0.25]
    assert rows[4]["judge_auroc_low"] == pytest.approx(0.8)
    assert rows[4]["floor"] == 0.5
    assert rows[1]["floor"] is None


def test_the_last_card_counts(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for auroc in (0.5, 0.8):
        add(lake, "judges", [card("org/llm", auroc, 0.1)])
    with connect(lake) as con:
        found = con.sql("select auroc, generation from judges").fetchall()
    assert found == [(0.8, 2)]
