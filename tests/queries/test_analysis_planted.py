"""Statements of `sql/analysis/` about planted latents: by hand, and against scipy on random."""

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats

from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import CONTEXTS
from tests.parts import hand_built
from tests.parts.hand_built import PLACE, RUN, Row, add, answers, explanation, publish, window

TRUTHS = (True, True, False, False)
RIGHT, HALF, WRONG = "yynn", "ynnn", "nnyy"
"""Balanced accuracies of 1, 0.75 and 0."""

Judged = dict[tuple[int, str, int], str]
"""Verdicts by latent, relation and number of the description."""


def lake_of(folder: Path, judged: Judged, kinds: dict[int, str]) -> Lake:
    """A lake in which every description was scored as an explanation by one judge."""
    lake = Lake(folder)
    told: list[Row] = []
    said: list[Row] = []
    planted: list[Row] = []
    for (latent, relation, number), verdicts in judged.items():
        text = f"{relation} {number} of {latent}"
        planted.append(
            {
                "latent": latent,
                "kind": kinds[latent],
                "relation": relation,
                "number": number,
                "text": text,
            }
        )
        told.append(explanation(text, latent, text))
        given = zip(TRUTHS, (verdict == "y" for verdict in verdicts), strict=True)
        said += answers(text, latent, list(given))
    publish(lake, "planted", planted)
    add(lake, "explanations", told)
    add(lake, "predictions", said)
    return lake


def found(lake: Lake) -> list[dict[str, Any]]:
    with connect(lake) as con:
        rows: list[dict[str, Any]] = query(con, "analysis/true_above_wrong", **PLACE).to_pylist()
    return rows


def test_true_above_wrong(tmp_path: Path) -> None:
    """Higher, tied, and the mean of two of a relation; what fires at random has no truth."""
    judged: Judged = {
        (0, "true", 1): RIGHT,
        (0, "sibling", 1): HALF,
        (0, "sibling", 2): RIGHT,
        (1, "true", 1): RIGHT,
        (1, "sibling", 1): RIGHT,
        (2, "true", 1): HALF,
        (2, "sibling", 1): WRONG,
        (2, "parent", 1): RIGHT,
        (3, "true", 1): RIGHT,
        (3, "sibling", 1): WRONG,
    }
    kinds = {0: "word", 1: "word", 2: "topic", 3: "random"}
    rows = found(lake_of(tmp_path, judged, kinds))
    assert [(row["relation"], row["kind"], row["n_latents"], row["share"]) for row in rows] == [
        ("parent", None, 1, 0.0),
        ("parent", "topic", 1, 0.0),
        # Latent 0: above one, tied with the other.
        ("sibling", None, 3, pytest.approx((0.75 + 0.5 + 1) / 3)),
        ("sibling", "topic", 1, 1.0),
        ("sibling", "word", 2, pytest.approx((0.75 + 0.5) / 2)),
    ]
    of_all = rows[2]
    assert (of_all["scorer"], of_all["judge"]) == ("detection", "lexical")
    assert of_all["metric"] == "balanced_accuracy"
    assert of_all["higher_by"] == pytest.approx((0.125 + 0 + 0.75) / 3)
    assert rows[0]["higher_by_low"] is None, "one latent has no interval"


def test_the_empty_text_is_the_floor_of_the_true_one(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, {(0, "true", 1): RIGHT}, {0: "word"})
    silent = [(truth, False) for truth in TRUTHS]
    add(lake, "predictions", answers("true 1 of 0", 0, silent, control="empty"))
    (of_all, of_kind) = found(lake)
    assert (of_all["relation"], of_all["share"], of_all["higher_by"]) == ("empty", 1.0, 0.5)
    assert of_kind["kind"] == "word"


def test_true_above_wrong_agrees_with_scipy(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    judged: Judged = {}
    for latent in range(12):
        for relation, n in (("true", 1), ("sibling", 2), ("child", int(latent % 3 > 0))):
            for number in range(1, n + 1):
                judged[latent, relation, number] = "".join(draw.choice(["y", "n"], 4))
    kinds = {latent: f"kind{latent % 2}" for latent in range(12)}
    rows = found(lake_of(tmp_path, judged, kinds))

    def score(verdicts: str) -> float:
        says = [verdict == "y" for verdict in verdicts]
        return (says[0] + says[1] + 2 - says[2] - says[3]) / 4

    expected: dict[tuple[str, str | None], list[tuple[float, float]]] = defaultdict(list)
    for latent in range(12):
        own = score(judged[latent, "true", 1])
        for relation in ("sibling", "child"):
            others = [
                score(v) for (one, r, _), v in judged.items() if (one, r) == (latent, relation)
            ]
            if others:
                above = float(np.mean([(own > other) + (own == other) / 2 for other in others]))
                for kind in (None, kinds[latent]):
                    expected[relation, kind].append((above, own - float(np.mean(others))))
    assert {(row["relation"], row["kind"]) for row in rows} == set(expected)
    for row in rows:
        above, gained = np.array(expected[row["relation"], row["kind"]]).T
        assert row["n_latents"] == len(above)
        assert row["share"] == pytest.approx(above.mean())
        # Wilson's limits are where the share is 1.96 of the limit's own standard errors away.
        for limit in (row["share_low"], row["share_high"]):
            error = np.sqrt(limit * (1 - limit) / len(above))
            assert abs(limit - above.mean()) == pytest.approx(
                stats.norm.ppf(0.975) * error, abs=1e-4
            )
        assert row["higher_by"] == pytest.approx(gained.mean())
        reach = stats.t.ppf(0.975, len(gained) - 1) * stats.sem(gained)
        assert row["higher_by_high"] - row["higher_by"] == pytest.approx(reach, rel=1e-2)
        assert row["higher_by"] - row["higher_by_low"] == pytest.approx(reach, rel=1e-2)


LENGTH, N_WINDOWS = 4, 50
"""Tokens of a window, and windows of the corpus."""


class Asked(NamedTuple):
    """A test window of a planted latent and what the judge of its true description says."""

    activations: list[float]
    said: bool


class Planted(NamedTuple):
    """A planted latent: what is known of it, in how many windows it fires, which are asked."""

    row: Row
    n_windows: int
    asked: list[Asked]


def lake_of_masses(folder: Path, latents: list[Planted]) -> Lake:
    """A lake in which true descriptions were scored; each has a wrong one without answers too."""
    lake = Lake(folder)
    known = [
        {"latent": n, "name": f"p{n}", "number": 1, **one.row} for n, one in enumerate(latents)
    ]
    described = [
        {**row, "relation": relation, "text": f"{relation} of {row['latent']}"}
        for row in known
        for relation in ("true", "sibling")
    ]
    publish(lake, "planted", described)
    context = {"context": 0, "tokens": [0] * LENGTH * N_WINDOWS}
    full = [{name: context.get(name) for name in CONTEXTS.arrow.names}]
    lake.publish(Unit("contexts", {"run": RUN, "shard": 0}), [File(CONTEXTS.from_rows(full))], {})
    counted = [hand_built.latent(n, {}, n_windows=one.n_windows) for n, one in enumerate(latents)]
    publish(lake, "latents", counted)
    texts = [explanation(f"e{n}", n, f"true of {n}") for n in range(len(latents))]
    add(lake, "explanations", texts)
    shown = [
        window(n, example, "test", example * LENGTH, asked.activations, n_in_bin=9)
        for n, one in enumerate(latents)
        for example, asked in enumerate(one.asked)
    ]
    publish(lake, "examples", shown, selection="default")
    for n, one in enumerate(latents):
        given = [(any(asked.activations), asked.said) for asked in one.asked]
        add(lake, "predictions", answers(f"e{n}", n, given))
    return lake


def masses(lake: Lake) -> list[dict[str, Any]]:
    with connect(lake) as con:
        asked = query(con, "analysis/planted_mass_explained", **PLACE)
    rows: list[dict[str, Any]] = asked.to_pylist()
    return rows


def test_planted_mass_explained(tmp_path: Path) -> None:
    """Ten true fires and four false ones half as strong: 10 of 12. Two misses in 40 windows.

    Found are 3 of 4, and one of two silent windows is claimed. The second latent is explained as
    far as it can be; the third fires at random.
    """
    strayed = {"kind": "word", "n_true": 12, "n_missed": 2, "n_false": 4}
    exact = {"kind": "topic", "n_true": 5, "n_missed": 0, "n_false": 0}
    half = [
        Asked([3.0, 0, 0, 0], True),
        Asked([0, -1.0, 0, 0], False),
        Asked([0.0] * 4, True),
        Asked([0.0] * 4, False),
    ]
    right = [Asked([3.0, 0, 0, 0], True), Asked([0.0] * 4, False)]
    latents = [
        Planted(exact, 5, right),
        Planted(strayed, 10, half),
        Planted({**exact, "kind": "random"}, 5, right),
    ]
    first, second = masses(lake_of_masses(tmp_path, latents))
    assert (first["latent"], first["name"], first["kind"]) == (1, "p1", "word")
    assert (first["mass_found"], first["mass_explained"]) == (0.75, 0.25)
    assert first["on_true"] == pytest.approx(10 / 12)
    assert first["claimed_at_most"] == pytest.approx(2 / 40)
    assert first["least"] == pytest.approx(10 / 12 - 2 / 40)
    assert first["short_by"] == pytest.approx(10 / 12 - 0.25)
    assert first["reaches_least"] == (first["mass_explained_high"] >= first["least"])
    assert (second["latent"], second["mass_explained"], second["least"]) == (0, 1.0, 1.0)
    assert second["reaches_least"]


def test_who_finds_every_window_in_which_a_predicate_holds_gets_the_least(tmp_path: Path) -> None:
    """Tokens drawn at random, all windows asked: against what is counted token by token."""
    draw = np.random.default_rng(0)
    latents = list[Planted]()
    shares = list[float]()
    for _ in range(8):
        shape = (N_WINDOWS, LENGTH)
        holds = draw.random(shape) < draw.uniform(0.02, 0.3)
        missed = holds & (draw.random(shape) < draw.uniform(0, 0.5))
        false = ~holds & (draw.random(shape) < draw.uniform(0, 0.2))
        strengths = 2.0 * (holds & ~missed) + 1.0 * false
        counts = {"n_true": holds.sum(), "n_missed": missed.sum(), "n_false": false.sum()}
        row: Row = {"kind": "word", **{name: int(count) for name, count in counts.items()}}
        asked = [
            Asked(given.tolist(), bool(held.any()))
            for given, held in zip(strengths, holds, strict=True)
        ]
        latents.append(Planted(row, int(strengths.any(1).sum()), asked))
        shares.append(float(strengths[holds].sum() / strengths.sum()))
    rows = masses(lake_of_masses(tmp_path, latents))
    assert len(rows) == len(latents)
    for row in rows:
        assert row["on_true"] == pytest.approx(shares[row["latent"]])
        assert row["mass_found"] >= row["on_true"] - 1e-9
        assert row["mass_explained"] >= row["least"] - 1e-9
        assert row["reaches_least"]
    assert any(row["least"] < row["on_true"] < row["mass_found"] for row in rows)
    short = [row["short_by"] for row in rows]
    assert short == sorted(short, reverse=True)
