"""Statements of `sql/analysis/` about several coders of a run: by hand, and against scipy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import Lake
from tests.parts.hand_built import RUN, add, answers, explanation, latent, publish

TRUTHS = (True, True, False, False)


def add_coder(lake: Lake, hookpoint: str, judged: dict[int, str], floor: str = "") -> None:
    """Latents 0 to 9, 8 and 9 dead; verdicts on the explanations of some, as "yynn"."""
    rows = [latent(index, {}, n_activations=(index < 8) * 5) for index in range(10)]
    publish(lake, "latents", rows, hookpoint=hookpoint)
    codes = [("eligible", 6), ("too_few_windows", 2), ("dead", 2)]
    told = [code for code, number in codes for _ in range(number)]
    publish(
        lake,
        "eligibility",
        [{"latent": index, "code": code, "min_examples": 1} for index, code in enumerate(told)],
        hookpoint=hookpoint,
        selection="default",
    )
    said = [explanation(f"{hookpoint} {index}", index, "a text") for index in judged]
    given = [
        row
        for index, verdicts in judged.items()
        for control, of in (("none", verdicts), ("shuffled", floor))
        if of
        for row in answers(
            f"{hookpoint} {index}",
            index,
            [(truth, verdict == "y") for truth, verdict in zip(TRUTHS, of, strict=True)],
            control=control,
        )
    ]
    add(lake, "explanations", said, hookpoint=hookpoint)
    add(lake, "predictions", given, hookpoint=hookpoint)


def found(lake: Lake) -> list[dict[str, Any]]:
    with connect(lake) as con:
        rows: list[dict[str, Any]] = query(con, "analysis/coders_side_by_side", run=RUN).to_pylist()
    return rows


def test_coders_side_by_side(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    add_coder(lake, "layers.0", {0: "yynn", 1: "yynn", 2: "ynnn", 3: "ynnn"}, floor="yyyy")
    add_coder(lake, "layers.0@random", {0: "yynn", 1: "nnyy", 2: "ynnn"})
    add_coder(lake, "layers.1@random", {0: "yynn"})
    own, floor, elsewhere = found(lake)
    assert [(row["module"], row["coder"]) for row in (own, floor, elsewhere)] == [
        ("layers.0", ""),
        ("layers.0", "random"),
        ("layers.1", "random"),
    ]
    assert (own["n_latents_of_coder"], own["dead_share"], own["eligible_share"]) == (10, 0.2, 0.6)
    assert (own["n_latents"], own["score"], own["shuffled"]) == (4, 0.875, 0.5)
    assert (own["own"], own["own_above"]) == (None, None), "it is not put beside itself"
    assert floor["score"] == pytest.approx((1 + 0 + 0.75) / 3)
    assert floor["own_above"] == pytest.approx(0.875 - 1.75 / 3)
    assert floor["shuffled"] is None
    assert elsewhere["own"] is None, "its module has no other coder"
    assert (elsewhere["score"], elsewhere["score_low"]) == (1.0, None)


def test_coders_agree_with_scipy(tmp_path: Path) -> None:
    draw, lake = np.random.default_rng(3), Lake(tmp_path)
    scores: dict[str, list[float]] = {}
    for hookpoint, n in (("layers.0", 8), ("layers.0@shuffled", 6)):
        judged = {index: "".join(draw.choice(["y", "n"], 4)) for index in range(n)}
        add_coder(lake, hookpoint, judged)
        scores[hookpoint] = [(v[:2].count("y") + v[2:].count("n")) / 4 for v in judged.values()]
    own, floor = found(lake)
    for row, values in zip((own, floor), scores.values(), strict=True):
        reach = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
        assert row["score_high"] - row["score"] == pytest.approx(reach, rel=1e-2)
        assert row["score"] - row["score_low"] == pytest.approx(reach, rel=1e-2)
    welch = stats.ttest_ind(*scores.values(), equal_var=False).confidence_interval()
    assert floor["own_above_low"] == pytest.approx(welch.low, rel=1e-2, abs=1e-3)
    assert floor["own_above_high"] == pytest.approx(welch.high, rel=1e-2, abs=1e-3)
