"""The view `scores`: metrics checked by hand, and against scikit-learn on random answers."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from delphi_assets.lake.schema import QUANTILE_SCORES, SCORES
from tests.parts.computed_scores import computed
from tests.parts.hand_built import Row, answers

RATES = (
    "precision", "recall", "specificity", "f1", "accuracy", "balanced_accuracy", "auroc", "auprc",
)  # fmt: skip


def view(rows: list[Row]) -> list[Row]:
    """Rows of `scores` over the given predictions."""
    with computed(rows) as con:
        return con.table("scores").to_arrow_table().to_pylist()


def scored(rows: list[Row]) -> dict[object, Row]:
    """The same by explanation, where each is judged in one way."""
    found = view(rows)
    assert len({row["explanation_id"] for row in found}) == len(found)
    return {row["explanation_id"]: row for row in found}


def test_counts_rates_and_ties() -> None:
    """Three true, three false; 0.6 is tied across the classes.

    AUROC: 0.9 beats three; 0.6 beats one, ties one, loses to 0.7; 0.4 beats one. 3 + 1.5 + 1 of 9.
    AUPRC: down to 0.9 one of one is true, down to 0.6 two of four, down to 0.4 three of five.
    """
    given = [(True, 0.9), (True, 0.6), (True, 0.4), (False, 0.7), (False, 0.6), (False, 0.1)]
    row = scored(answers("e", 0, given))["e"]
    counts = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    assert [row[name] for name in counts] == [2, 2, 1, 1]
    assert (row["n_examples"], row["n_failed"]) == (6, 0)
    assert [row[name] for name in RATES] == pytest.approx(
        [1 / 2, 2 / 3, 1 / 3, 4 / 7, 1 / 2, 1 / 2, 5.5 / 9, (1 + 2 / 4 + 3 / 5) / 3]
    )


def test_failures_are_counted_apart() -> None:
    """A failed answer changes no rate; its example counts as asked."""
    right = [(True, 0.9), (False, 0.2)]
    rows = scored(
        answers("clean", 0, right)
        + answers("failed", 0, [*right, (True, "timeout"), (False, "unparseable")])
    )
    assert (rows["failed"]["n_examples"], rows["failed"]["n_failed"]) == (4, 2)
    assert (rows["failed"]["failed_share"], rows["clean"]["failed_share"]) == (0.5, 0.0)
    assert (
        [rows["failed"][name] for name in RATES]
        == [rows["clean"][name] for name in RATES]
        == [1.0] * 8
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
    found = {name: [row[rate] for rate in RATES] for name, row in rows.items()}
    assert found["all_failed"] == [None] * 8
    assert found["only_true"] == [None, 0.5, None, None, 0.5, None, None, None]
    assert found["nothing_said"] == [None, 0.0, 1.0, 0.0, 0.5, 0.5, 0.5, 0.5]
    assert found["verdicts"] == [1.0] * 6 + [None] * 2
    assert found["one_without"] == [1.0] * 6 + [None] * 2
    for row in rows.values():
        # A ranking of one true and one false answer has no variance.
        assert all(
            (row[rate] is None) >= (row[f"{rate}_low"] is None)
            for rate in RATES
            if rate not in ("auroc", "auprc")
        )


def test_values_rank_where_there_is_no_probability() -> None:
    """A scorer that gives values only: no verdict, no rate, but a ranking. 3 of 4 pairs won."""
    rows = answers("e", 0, [(True, 0.9), (True, 0.2), (False, 0.7), (False, 0.1)])
    for row in rows:
        row["value"], row["probability"], row["prediction"] = row["probability"], None, None
    (found,) = view(rows)
    assert [found[rate] for rate in RATES] == [None] * 6 + [0.75, pytest.approx(5 / 6)]


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
    found = {(row["scorer"], row["judge"], row["control"]): row["recall"] for row in view(rows)}
    assert found == recalls


def test_ways_to_ask_are_kept_apart() -> None:
    """The same judge asked in two ways gives two rows, each of its own answers."""
    one, other = [(True, 0.9), (False, 0.2)], [(True, 0.1), (False, 0.3), (False, 0.8)]
    rows = view(answers("e", 0, one) + answers("e", 0, other, judge_hash="other"))
    assert {row["judge_hash"]: (row["n_examples"], row["auroc"]) for row in rows} == {
        "asked": (2, 1.0),
        "other": (3, 0.0),
    }


def by_sklearn(given: list[tuple[bool, float | str]]) -> list[float | None]:
    """The metrics of what was answered, where true and false examples were; in order of `RATES`."""
    good = [(truth, answer) for truth, answer in given if isinstance(answer, float)]
    truth = np.array([truth for truth, _ in good], dtype=bool)
    answer = np.array([answer for _, answer in good])
    said = answer >= 0.5
    both = truth.any() and not truth.all()
    return [
        metrics.precision_score(truth, said) if both and said.any() else None,
        metrics.recall_score(truth, said) if truth.any() else None,
        metrics.recall_score(~truth, ~said) if not truth.all() else None,
        metrics.f1_score(truth, said) if both else None,
        metrics.accuracy_score(truth, said) if good else None,
        metrics.balanced_accuracy_score(truth, said) if both else None,
        metrics.roc_auc_score(truth, answer) if both else None,
        metrics.average_precision_score(truth, answer) if both else None,
    ]


probability = st.integers(0, 6).map(lambda sixth: sixth / 6)
one_answer = st.tuples(st.booleans(), st.one_of(probability, st.just("timeout")))


@settings(max_examples=20)
@given(st.lists(st.lists(one_answer, min_size=1, max_size=30), min_size=1, max_size=8))
def test_agrees_with_scikit_learn(cases: list[list[tuple[bool, float | str]]]) -> None:
    """Random answers with many ties, several explanations at once, some of one class only."""
    rows = scored([row for i, case in enumerate(cases) for row in answers(str(i), i, case)])
    for i, case in enumerate(cases):
        assert rows[str(i)]["n_failed"] == sum(isinstance(answer, str) for _, answer in case)
        found = [rows[str(i)][name] for name in RATES]
        assert found == pytest.approx(by_sklearn(case), nan_ok=False)


def test_intervals_hold_their_estimates() -> None:
    """Every mix of verdicts on up to three true and three false examples: low <= rate <= high."""
    cases = [
        [*((True, right) for right in true), *((False, right) for right in false)]
        for true in itertools.combinations_with_replacement((0.1, 0.5, 0.9), 3)
        for false in itertools.combinations_with_replacement((0.1, 0.5, 0.9), 3)
    ]
    for row in view([row for i, case in enumerate(cases) for row in answers(str(i), i, case)]):
        for rate in RATES:
            if row[rate] is not None:
                low, estimate, high = row[f"{rate}_low"], row[rate], row[f"{rate}_high"]
                assert -1e-12 <= low <= estimate + 1e-12, (rate, row)
                assert estimate - 1e-12 <= high <= 1 + 1e-12, (rate, row)
                assert high - low > 0.05, (rate, row)


def test_columns_are_those_documented() -> None:
    """The views have the columns of the schema, in its order and with its types."""
    with computed(answers("e", 0, [(True, 0.9)])) as con:
        for view in (SCORES, QUANTILE_SCORES):
            found = con.table(view.name).to_arrow_table().schema
            assert [(field.name, field.type) for field in found] == [
                (column.name, column.type) for column in view.columns
            ]
