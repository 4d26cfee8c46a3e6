"""Every statement of `sql/checks/`: silent on sound rows, and it finds the one violation laid out.

Each case is a sound lake with one thing broken. The sound lake has latent 5 with two train windows,
a test window and two silent windows of three tokens, an explanation and a prediction.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from dagster_project.checks import (
    INVARIANTS,
    ROWS_IN_MESSAGE,
    ROWS_SHOWN,
    Found,
    Invariant,
    message,
)
from delphi_assets.delphi_runs.texts import DELPHI
from delphi_assets.lake.database import Parameter, connect, query, sql_folder
from delphi_assets.lake.lake import Lake
from delphi_assets.settings import load_profile
from tests.parts.hand_built import (
    PLACE,
    WRITTEN,
    Row,
    add,
    answers,
    explanation,
    latent,
    publish,
    window,
)

MOST = {"most": 0.25}
OF_SELECTION = {one.statement for one in INVARIANTS if one.of_selection}


def sound() -> dict[str, list[Row]]:
    """Rows by table that violate nothing."""
    return {
        "weights": [{"latent": 5, "decoder_norm": 1.0}],
        "latents": [latent(5, {" def": 1.0}, n_activations=3)],
        "activations": [
            {"latent": 5, "position": position, "activation": 1.0} for position in (1, 4, 60)
        ]
        + [{"latent": 6, "position": 31, "activation": 1.0}],
        "examples": [
            window(5, 0, "train", 0, [0.0, 1.0, 0.0]),
            window(5, 1, "train", 3, [0.0, 1.0, 0.0]),
            window(5, 2, "test", 60, [1.0, 0.0, 0.0]),
            window(5, 3, "test", 30, [0.0, 0.0, 0.0]),
            window(5, 4, "test", 33, [0.0, 0.0, 0.0]),
        ],
        "shortfalls": [],
        "labels": [{"latent": 5, "name": "rating", "value": "4"}],
        "explanations": [explanation(f"e{i}", 5, "def") for i in range(3)]
        + [explanation("f", 5, None, failure="timeout")],
        "predictions": answers(
            "e0", 5, [(True, 0.9), (True, 0.8), (False, 0.1), (False, "timeout")]
        ),
    }


def violations(tmp_path: Path, tables: dict[str, list[Row]], statement: str) -> list[Row]:
    """What a check finds in a lake of the given rows."""
    lake = Lake(tmp_path)
    extra: dict[str, dict[str, str | int]] = {
        "activations": {"bucket": 0},
        "examples": {"selection": "default"},
        "shortfalls": {"selection": "default"},
        "labels": {"source": "alice"},
    }
    for table, rows in tables.items():
        if table in ("explanations", "judges", "predictions"):
            add(lake, table, rows)
        else:
            publish(lake, table, rows, **extra.get(table, {}))
    parameters: dict[str, Parameter] = {**PLACE, "n_rows": 20}
    if statement.startswith("failed_"):
        parameters |= MOST
    if statement == "uncalibrated_judges":
        parameters |= {"scorers": ["detection"]}
    if statement == "echoed_examples":
        parameters |= {"worked": WORKED}
    if statement in OF_SELECTION:
        parameters |= {"selection": "default", "first_latent": None, "last_latent": None}
    with connect(lake) as con:
        return query(con, f"checks/{statement}", **parameters).to_pylist()


def of_llm() -> list[Row]:
    """Answers that came from an LLM."""
    return answers("e1", 5, [(True, 0.9), (False, 0.1)], model="org/llm", request="r")


def card(auroc: float, reach: float | None, **columns: object) -> Row:
    """Of that LLM, asked so."""
    low, high = (None, None) if reach is None else (auroc - reach, auroc + reach)
    return {
        "planted_run": "planted",
        "scorer": "detection",
        "judge": "org/llm",
        "judge_hash": "asked",
        "auroc": auroc,
        "auroc_low": low,
        "auroc_high": high,
        "n_latents": 8,
        "written_at": WRITTEN,
        **columns,
    }


WORKED = [
    "Names of birds.",
    'The word "that".',
    "The word right after 'failed to', in reports of something that did not work.",
]


@pytest.mark.parametrize(
    ("text", "is_echo"),
    [
        ("THE WORD: that", True),
        ('The word that follows "if".', False),
        ("The word right after 'if', in reports of something that did not.", True),
        ("The word right after 'if'.", False),
        ("Names of birds and of beasts.", False),
    ],
)
def test_what_is_an_echo(tmp_path: Path, text: str, is_echo: bool) -> None:
    """Six words of an example in a row, or all of a shorter one and nothing else."""
    tables = sound()
    tables["explanations"].append(explanation("x", 5, text, "openai/m"))
    assert len(violations(tmp_path, tables, "echoed_examples")) == is_echo


class Broken(NamedTuple):
    """How a sound lake is broken, and what the check then says."""

    change: Callable[[dict[str, list[Row]]], object]
    expected: Row


CASES = {
    "silent_hookpoint": Broken(
        lambda tables: tables["latents"].__setitem__(0, latent(5, {}, n_activations=0)),
        {"hookpoint": PLACE["hookpoint"], "n_latents": 1},
    ),
    "missing_latents": Broken(
        lambda tables: tables["weights"].append({"latent": 7, "decoder_norm": 1.0}), {"latent": 7}
    ),
    "shared_positions": Broken(
        lambda tables: tables["examples"].append(window(5, 9, "test", 4, [1.0, 0.0, 0.0])),
        {"latent": 5, "train_example": 1, "test_example": 9, "n_shared": 2},
    ),
    "loud_negatives": Broken(
        lambda tables: tables["activations"].append(
            {"latent": 5, "position": 32, "activation": 0.5}
        ),
        {"latent": 5, "example": 3, "n_activations": 1, "max_activation": 0.5},
    ),
    "repeated_negatives": Broken(
        lambda tables: tables["examples"].append(window(5, 9, "test", 33, [0.0, 0.0, 0.0])),
        {"latent": 5, "position": 33, "n_times": 2},
    ),
    "short_selections": Broken(
        lambda tables: tables["shortfalls"].append(
            {"latent": 5, "train_missing": 1, "pool": 2, "reason": "too_few_windows"}
        ),
        {"latent": 5, "train_missing": 1, "pool": 2, "reason": "too_few_windows"},
    ),
    "orphan_explanations": Broken(
        lambda tables: tables["explanations"].append(explanation("x", 8, "def")),
        {"explanation_id": "x", "latent": 8},
    ),
    "failed_explanations": Broken(
        lambda tables: tables["explanations"].append(
            explanation("g", 5, None, failure="timeout")
        ),
        {"explainer": "lexical", "n_explanations": 5, "n_failed": 2, "share_failed": 0.4,
         "most_frequent_failure": "timeout"},
    ),
    "echoed_examples": Broken(
        lambda tables: tables["explanations"].append(
            explanation("x", 5, "names of  birds", "openai/m")
        ),
        {"latent": 5, "explanation": "names of  birds", "echo": "Names of birds."},
    ),
    "orphan_predictions": Broken(
        lambda tables: tables["predictions"].extend(
            answers("gone", 5, [(True, 0.9), (False, 0.1)])
        ),
        {"missing": "explanation", "explanation_id": "gone", "latent": 5, "n_predictions": 2},
    ),
    "orphan_examples": Broken(
        lambda tables: tables["examples"].append(window(8, 0, "train", 9, [1.0, 0.0, 0.0])),
        {"latent": 8, "selection": "default", "n_examples": 1},
    ),
    "orphan_labels": Broken(
        lambda tables: tables["labels"].append({"latent": 8, "name": "rating", "value": "4"}),
        {"source": "alice", "latent": 8, "name": "rating", "value": "4"},
    ),
    "failed_predictions": Broken(
        lambda tables: tables["predictions"].extend(answers("e1", 5, [(True, "refused")])),
        {"scorer": "detection", "n_predictions": 5, "n_failed": 2, "share_failed": 0.4},
    ),
    "uncalibrated_judges": Broken(
        lambda tables: tables["predictions"].extend(of_llm()),
        {"scorer": "detection", "judge": "org/llm", "n_predictions": 2,
         "problem": "never calibrated"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("statement", CASES)
def test_sound_rows_pass(tmp_path: Path, statement: str) -> None:
    """No violation on a sound lake, at the bound of failures exactly, and without any rows."""
    assert violations(tmp_path / "sound", sound(), statement) == []
    assert violations(tmp_path / "empty", {table: [] for table in sound()}, statement) == []


@pytest.mark.parametrize("statement", CASES)
def test_a_violation_is_found(tmp_path: Path, statement: str) -> None:
    """One row, saying where."""
    tables = sound()
    CASES[statement].change(tables)
    (found,) = violations(tmp_path, tables, statement)
    expected = CASES[statement].expected
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda invariant: invariant.statement)
def test_a_failed_check_says_what_to_do(tmp_path: Path, invariant: Invariant) -> None:
    """How many rows, where, what it means, and the rows; settings named there exist."""
    tables = sound()
    CASES[invariant.statement].change(tables)
    found = pa.Table.from_pylist(violations(tmp_path, tables, invariant.statement))
    said = message(invariant, Found("layers.0", 1, found))
    assert said.startswith(f"1 row at layers.0. {invariant.advice}")
    assert said.count("\n|") >= 3
    for section, name in re.findall(r"`(llm|cache|selection)\.(\w+)`", invariant.advice):
        assert name in type(getattr(load_profile("demo"), section)).model_fields
    none = Found("layers.0", 0, found.slice(0, 0))
    assert message(invariant, none) == "Holds at layers.0."


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    (invariant,) = (one for one in INVARIANTS if one.statement == "missing_latents")
    found = Found("a", 1_234, pa.table({"latent": list(range(ROWS_SHOWN))}))
    said = message(invariant, found)
    assert said.startswith("1,234 rows at a.")
    assert said.count("\n|") == 2 + ROWS_IN_MESSAGE


def test_every_check_has_a_case() -> None:
    """A new file in sql/checks/ needs a violation here."""
    assert {path.stem for path in (sql_folder() / "checks").glob("*.sql")} == set(CASES)


@pytest.mark.parametrize(
    ("cards", "problem"),
    [
        ([card(0.8, 0.2)], None),
        ([card(0.7, 0.2)], "at chance"),
        ([card(0.3, 0.1)], "below chance"),
        ([card(0.9, None)], "on too few latents"),
        ([card(0.8, 0.2, judge_hash="otherwise")], "never calibrated"),
        # The card of most latents counts.
        ([card(0.7, 0.2, planted_run="own", n_latents=3), card(0.8, 0.2)], None),
    ],
)
def test_a_card_says_whether_a_judge_is_believed(
    tmp_path: Path, cards: list[Row], problem: str | None
) -> None:
    tables = sound()
    tables["predictions"] += of_llm()
    tables["judges"] = cards
    found = violations(tmp_path, tables, "uncalibrated_judges")
    assert [row["problem"] for row in found] == ([] if problem is None else [problem])


def test_a_prediction_on_a_window_that_is_not_there_is_an_orphan(tmp_path: Path) -> None:
    tables = sound()
    tables["examples"] = tables["examples"][:2]
    (found,) = violations(tmp_path, tables, "orphan_predictions")
    assert (found["missing"], found["explanation_id"], found["n_predictions"]) == (
        "example",
        "e0",
        2,
    )


@pytest.mark.parametrize(("judge_hash", "found"), [(DELPHI, []), ("a hash", ["example"])])
def test_imported_predictions_have_no_windows(
    tmp_path: Path, judge_hash: str, found: list[str]
) -> None:
    """They are told by how they were judged: a selection may be called delphi as well."""
    tables = sound()
    tables["predictions"] += answers(
        "e1", 5, [(True, 0.9)], selection=DELPHI, judge_hash=judge_hash
    )
    rows = violations(tmp_path, tables, "orphan_predictions")
    assert [row["missing"] for row in rows] == found


def test_what_is_judged_without_an_explanation_has_none_to_look_for(tmp_path: Path) -> None:
    tables = sound()
    tables["predictions"] += answers("none", 5, [(True, 0.9)], scorer="intruder")
    assert violations(tmp_path / "sound", tables, "orphan_predictions") == []
    tables["predictions"] += answers("none", 77, [(True, 0.9)], scorer="intruder")
    (found,) = violations(tmp_path / "odd", tables, "orphan_predictions")
    assert (found["missing"], found["latent"]) == ("example", 77)


def test_imported_predictions_need_their_explanation(tmp_path: Path) -> None:
    tables = sound()
    tables["predictions"] += answers("gone", 5, [(True, 0.9)], judge_hash=DELPHI)
    (found,) = violations(tmp_path, tables, "orphan_predictions")
    assert (found["missing"], found["explanation_id"]) == ("explanation", "gone")
