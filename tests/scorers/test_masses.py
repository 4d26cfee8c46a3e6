"""`mass_found` and `mass_explained`: by hand, against numpy, and where they are undefined."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.parts.computed_scores import computed
from tests.parts.hand_built import Row, answers, window

NAMES = ("mass_found", "mass_explained")


class Asked(NamedTuple):
    """A window and what the judge said of it; silent without activations."""

    said: bool | str
    activations: tuple[float, ...] = ()
    quantile: int = 0
    n_in_bin: int | None = None


def row_of(asked: list[Asked], source: str = "quantiles", **columns: object) -> Row:
    """The row of `scores` over these windows."""
    said = answers("e", 0, [(bool(one.activations), one.said) for one in asked])
    windows = [
        window(
            0,
            example,
            "test",
            8 * example,
            one.activations or (0.0, 0.0),
            quantile=one.quantile if one.activations else None,
            n_in_bin=one.n_in_bin,
            source=source if one.activations else "random",
        )
        for example, one in enumerate(asked)
    ]
    with computed([{**row, **columns} for row in said], windows) as con:
        rows: list[Row] = con.table("scores").to_arrow_table().to_pylist()
    (row,) = rows
    return row


def wilson(share: float, size: float) -> tuple[float, float]:
    """Wilson's interval, whatever the size."""
    z = stats.norm.ppf(0.975)
    middle = (share + z * z / 2 / size) / (1 + z * z / size)
    half = np.sqrt(share * (1 - share) / size + (z / size / 2) ** 2) * z / (1 + z * z / size)
    return middle - half, middle + half


def test_by_hand() -> None:
    """A strong bin of 2 windows, both asked, and a weak one of 6, of which two were asked.

    Found are 6 of the strong bin's 6 + 4, the negative token by its magnitude, and half of the
    weak bin: 6 / 2 * 1 of 6 / 2 * (1 + 3). So (6 + 3) of (10 + 12). Of two silent windows one is
    claimed.
    """
    asked = [
        Asked(True, (2.0, -4.0), 0, 2),
        Asked(False, (4.0, 0.0), 0, 2),
        Asked(True, (1.0, 0.0), 1, 6),
        Asked(False, (0.0, 3.0), 1, 6),
        Asked(True),
        Asked(False),
    ]
    row = row_of(asked)
    assert row["recall"] == 0.5
    assert row["mass_found"] == pytest.approx(9 / 22)
    assert row["mass_explained"] == pytest.approx(9 / 22 - 1 / 2)
    # Windows stand for 6, 4, 3 and 9 of the mass.
    low, high = wilson(9 / 22, 22**2 / (36 + 16 + 9 + 81))
    assert (row["mass_found_low"], row["mass_found_high"]) == pytest.approx((low, high))
    silent_low, silent_high = wilson(1 / 2, 2)
    below, above = (
        np.hypot(9 / 22 - low, 1 / 2 - silent_low),
        np.hypot(high - 9 / 22, 0.5 - silent_low),
    )
    assert silent_high - 0.5 == pytest.approx(0.5 - silent_low)
    assert row["mass_explained_low"] == pytest.approx(9 / 22 - 1 / 2 - below)
    assert row["mass_explained_high"] == pytest.approx(9 / 22 - 1 / 2 + above)


def test_bins_of_earlier_selections_are_of_one_size() -> None:
    """Three of the strong bin were asked and one of the weak: it counts as much as the three."""
    asked = [*[Asked(True, (4.0,), 0)] * 3, Asked(False, (4.0,), 1), Asked(False)]
    assert row_of(asked)["mass_found"] == pytest.approx(1 / 2)
    for source in ("activations", "my_package:sampler"):
        assert [row_of(asked, source)[name] for name in NAMES] == [None, None], source


def test_a_failed_answer_is_made_up_for_by_others_of_its_bin() -> None:
    """Of ten windows a bin two were asked; where one failed the other stands for all ten."""
    asked = [
        Asked(True, (3.0,), 0, 10),
        Asked("timeout", (9.0,), 0, 10),
        Asked(False, (1.0,), 1, 10),
        Asked(False, (2.0,), 1, 10),
        Asked(False),
    ]
    assert row_of(asked)["mass_found"] == pytest.approx(30 / (30 + 15))


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"chance": 0.25}, "it picks"),
        ({"prediction": None, "value": 0.3}, "it gives numbers"),
        ({"prediction": None, "simulated": [1.0, 0.0]}, "it simulates"),
    ],
)
def test_null_without_an_answer_of_yes_or_no(columns: Row, why: str) -> None:
    asked = [Asked(True, (2.0, 1.0)), Asked(False, (1.0, 0.0)), Asked(False)]
    row = row_of(asked, **columns)
    for name in NAMES:
        assert [row[f"{name}{end}"] for end in ("", "_low", "_high")] == [None] * 3, why


def test_null_without_a_side() -> None:
    only_silent, only_loud = row_of([Asked(False)]), row_of([Asked(True, (2.0,))])
    assert [only_silent[name] for name in NAMES] == [None, None]
    assert [only_loud[name] for name in NAMES] == [1.0, None]
    with computed(answers("e", 0, [(True, True), (False, False)])) as con:
        # As after an import, which has answers without windows.
        (row,) = con.table("scores").to_arrow_table().to_pylist()
    assert [row[name] for name in NAMES] == [None, None]


activation = st.integers(1, 40).map(lambda quarters: quarters / 4)
loud = st.tuples(
    st.one_of(st.booleans(), st.just("timeout")),
    st.tuples(activation, st.one_of(st.just(0.0), activation)),
    st.integers(0, 2),
).map(lambda parts: Asked(*parts))
silent = st.one_of(st.booleans(), st.just("timeout")).map(Asked)


@settings(max_examples=10)
@given(st.lists(loud, min_size=1, max_size=12), st.lists(silent, min_size=1, max_size=6), st.data())
def test_agrees_with_numpy(louds: list[Asked], silents: list[Asked], data: st.DataObject) -> None:
    """A population with as many copies of a window as it stands for; a scale changes nothing."""
    sizes = {at: data.draw(st.integers(12, 30)) for at in range(3)}
    louds = [one._replace(n_in_bin=sizes[one.quantile]) for one in louds]
    row = row_of([*louds, *silents])
    scaled = [one._replace(activations=tuple(4 * a for a in one.activations)) for one in louds]
    again = row_of([*scaled, *silents])
    answered = [one for one in louds if not isinstance(one.said, str)]
    drawn = [sum(other.quantile == one.quantile for other in answered) for one in answered]
    stands_for = np.array(
        [
            sum(one.activations) * sizes[one.quantile] / n
            for one, n in zip(answered, drawn, strict=True)
        ]
    )
    said = np.array([one.said for one in answered], bool)
    claimed = [one.said for one in silents if not isinstance(one.said, str)]
    if not answered:
        assert row["mass_found"] is None
        return
    found = stands_for[said].sum() / stands_for.sum()
    assert row["mass_found"] == pytest.approx(found)
    interval = wilson(found, stands_for.sum() ** 2 / (stands_for**2).sum())
    assert (row["mass_found_low"], row["mass_found_high"]) == pytest.approx(interval, abs=1e-9)
    assert row["mass_explained"] == (pytest.approx(found - np.mean(claimed)) if claimed else None)
    for name in ("mass_found_low", "mass_found", "mass_found_high"):
        assert again[name] == pytest.approx(row[name]), name
