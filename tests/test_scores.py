"""The view `scores`: metrics checked by hand, and against a brute-force count on random answers."""

from typing import NamedTuple

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delphi_assets import schema
from delphi_assets.database import statement
from tests.hand_built import PLACE, Row, answers

RATES = ("precision", "recall", "f1", "accuracy", "balanced_accuracy", "auc")


def view(rows: list[Row]) -> list[Row]:
    """Rows of `scores` over the given predictions."""
    keys = [(key.name, key.type) for key in schema.PREDICTIONS.keys]
    columns = pa.schema([*keys, *schema.PREDICTIONS.arrow])
    full = [{name: {**PLACE, **row}.get(name) for name in columns.names} for row in rows]
    with duckdb.connect() as con:
        con.register("predictions", pa.Table.from_pylist(full, schema=columns))
        con.execute(statement("views/scores"))
        return con.sql("select * from scores").to_arrow_table().to_pylist()


def scored(rows: list[Row]) -> dict[object, Row]:
    """The same by explanation, where each is judged in one way."""
    found = view(rows)
    assert len({row["explanation_id"] for row in found}) == len(found)
    return {row["explanation_id"]: row for row in found}


def test_counts_rates_and_ties() -> None:
    """Three true, three false; 0.6 is tied across the classes.

    AUC: 0.9 beats three; 0.6 beats one, ties one, loses to 0.7; 0.4 beats one. 3 + 1.5 + 1 of 9.
    """
    given = [(True, 0.9), (True, 0.6), (True, 0.4), (False, 0.7), (False, 0.6), (False, 0.1)]
    row = scored(answers("e", 0, given))["e"]
    counts = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    assert [row[name] for name in counts] == [2, 2, 1, 1]
    assert (row["n_examples"], row["n_failed"]) == (6, 0)
    assert [row[name] for name in RATES] == pytest.approx(
        [1 / 2, 2 / 3, 4 / 7, 1 / 2, 1 / 2, 5.5 / 9]
    )


def test_failures_are_counted_apart() -> None:
    """A failed answer changes no rate; its example counts as asked."""
    right = [(True, 0.9), (False, 0.2)]
    rows = scored(
        answers("clean", 0, right)
        + answers("failed", 0, [*right, (True, "timeout"), (False, "unparseable")])
    )
    assert (rows["failed"]["n_examples"], rows["failed"]["n_failed"]) == (4, 2)
    assert (
        [rows["failed"][name] for name in RATES]
        == [rows["clean"][name] for name in RATES]
        == [1.0] * 6
    )


def test_undefined_rates_are_null() -> None:
    """A rate whose denominator is zero is null, not 0 and not an error."""
    rows = scored(
        answers("all_failed", 0, [(True, "timeout"), (False, "timeout")])
        + answers("only_true", 0, [(True, 0.9), (True, 0.1)])
        + answers("nothing_said", 0, [(True, 0.1), (False, 0.1)])
        + answers("verdicts", 0, [(True, True), (False, False)])
        + answers("one_without", 0, [(True, 0.9), (False, False)])
    )
    assert [rows["all_failed"][name] for name in RATES] == [None] * 6
    assert [rows["only_true"][name] for name in RATES] == [
        1.0,
        0.5,
        pytest.approx(2 / 3),
        0.5,
        None,
        None,
    ]
    assert [rows["nothing_said"][name] for name in RATES] == [None, 0.0, 0.0, 0.5, 0.5, 0.5]
    assert [rows["verdicts"][name] for name in RATES] == [1.0, 1.0, 1.0, 1.0, 1.0, None]
    assert rows["one_without"]["auc"] is None


def test_controls_judges_and_scorers_are_kept_apart() -> None:
    """One explanation judged in four ways gives four rows, not one mean."""
    recalls = {
        ("detection", "lexical", "none"): 1.0,
        ("detection", "lexical", "shuffled"): 0.0,
        ("detection", "gpt", "none"): 0.5,
        ("fuzz", "lexical", "none"): 0.75,
    }
    rows = [
        row
        for kind, recall in recalls.items()
        for row in answers("e", 0, [(True, i < 4 * recall) for i in range(4)], *kind)
    ]
    found = {(row["scorer"], row["model"], row["control"]): row["recall"] for row in view(rows)}
    assert found == recalls


def test_ways_to_ask_are_kept_apart() -> None:
    """The same judge asked in two ways gives two rows, each of its own answers."""
    one, other = [(True, 0.9), (False, 0.2)], [(True, 0.1), (False, 0.3), (False, 0.8)]
    rows = view(answers("e", 0, one) + answers("e", 0, other, judge_hash="other"))
    assert {row["judge_hash"]: (row["n_examples"], row["auc"]) for row in rows} == {
        "asked": (2, 1.0),
        "other": (3, 0.0),
    }


class Counted(NamedTuple):
    """Metrics of one explanation by counting."""

    n_failed: int
    rates: tuple[float | None, ...]


def count(given: list[tuple[bool, float | str]]) -> Counted:
    """The metrics, straight from their definitions."""
    good = [(truth, answer) for truth, answer in given if isinstance(answer, float)]
    true = [answer for truth, answer in good if truth]
    false = [answer for truth, answer in good if not truth]
    hits, alarms = sum(p >= 0.5 for p in true), sum(p >= 0.5 for p in false)
    misses, silent = len(true) - hits, len(false) - alarms
    recall, specificity = share(hits, len(true)), share(silent, len(false))
    pairs = [1.0 if p > q else 0.5 if p == q else 0.0 for p in true for q in false]
    return Counted(
        len(given) - len(good),
        (
            share(hits, hits + alarms),
            recall,
            share(2 * hits, 2 * hits + alarms + misses),
            share(hits + silent, len(good)),
            None if recall is None or specificity is None else (recall + specificity) / 2,
            share(sum(pairs), len(pairs)),
        ),
    )


def share(part: float, whole: float) -> float | None:
    """`part / whole`, None when there is nothing."""
    return part / whole if whole else None


probability = st.integers(0, 6).map(lambda sixth: sixth / 6)
one_answer = st.tuples(st.booleans(), st.one_of(probability, st.just("timeout")))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(one_answer, min_size=1, max_size=30), min_size=1, max_size=8))
def test_agrees_with_brute_force(cases: list[list[tuple[bool, float | str]]]) -> None:
    """Random answers with many ties, several explanations at once."""
    rows = scored([row for i, case in enumerate(cases) for row in answers(str(i), i, case)])
    for i, case in enumerate(cases):
        expected = count(case)
        assert rows[str(i)]["n_failed"] == expected.n_failed
        assert [rows[str(i)][name] for name in RATES] == pytest.approx(list(expected.rates))
