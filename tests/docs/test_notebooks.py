"""The notebooks: executed on a small lake, and what is committed with them."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from delphi_assets import connect
from tests.parts.notebooks import FOLDER, IN_ORDER, execute
from tests.parts.tiny_project import HOOKPOINT, RUN, make_project
from tests.parts.whole_lake import make_whole_lake

pytestmark = pytest.mark.slow

MOST_BYTES = 300_000
PLACES = re.compile(r"/(?:home|tmp|root|work|Users)/")


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[nbformat.NotebookNode]]:
    """The lake, and the notebooks executed on it one after the other."""
    folder = make_project(tmp_path_factory.mktemp("notebooks"))
    profile = folder / "tiny.toml"
    scored = '[score]\nscorers = ["detection", "fuzz", "discrimination"]\n'
    text = profile.read_text(encoding="utf-8").replace("[score]\n", scored)
    profile.write_text(text, encoding="utf-8")
    make_whole_lake(profile, folder / "lake")
    environment = {
        "DELPHI_ASSETS_PROFILE": str(profile),
        "DELPHI_ASSETS_LAKE": str(folder / "lake"),
    }
    return folder / "lake", [execute(name, folder, environment) for name in IN_ORDER]


def cell(notebook: nbformat.NotebookNode, of: str) -> nbformat.NotebookNode:
    """The one code cell that holds `of`."""
    (found,) = [one for one in notebook.cells if one.cell_type == "code" and of in one.source]
    return found


def shown(notebook: nbformat.NotebookNode, of: str, kind: str = "text/plain") -> str:
    """The last thing that the cell shows, in a form."""
    outputs = cell(notebook, of).outputs
    return str([one["data"][kind] for one in outputs if kind in one.get("data", {})][-1])


def n_rows(table: str) -> int:
    """Rows of a table that Polars shows."""
    match = re.match(r"shape: \(([\d_]+), \d+\)", table)
    assert match, table
    return int(match[1].replace("_", ""))


def count(lake: Path, rows: str) -> int:
    """How many rows there are of `table where ...`."""
    ((found,),) = connect(lake).sql(f"select count(*) from {rows}").fetchall()
    return int(found)


def test_latents_are_explained(executed: tuple[Path, list[nbformat.NotebookNode]]) -> None:
    lake, (notebook, *_) = executed
    found = (
        connect(lake)
        .sql(
            "select latent, failure from explanations where selection = 'notebook' order by latent"
        )
        .fetchall()
    )
    assert found == [(latent, None) for latent in range(5)]
    selected = ast.literal_eval(shown(notebook, "select_examples("))
    assert selected["new"] == selected["rows"]
    assert count(lake, "examples where selection = 'notebook'") == selected["rows"]
    n_short = count(lake, "shortfalls where selection = 'notebook'")
    assert n_rows(shown(notebook, "from shortfalls")) == n_short
    page = shown(notebook, "sheet(1)", "text/html")
    assert f"latent 1 of {HOOKPOINT}, run {RUN}, selection notebook" in page
    assert "background:rgba(" in page
    facts = ast.literal_eval(shown(notebook, "report = explain("))
    assert (facts["new"], facts["explained"], facts["failed"]) == (5, 5, 0)
    assert n_rows(shown(notebook, "from explanations")) == 5


def test_stored_explanations_are_scored(
    executed: tuple[Path, list[nbformat.NotebookNode]],
) -> None:
    lake, (_, notebook, *_) = executed
    facts = ast.literal_eval(shown(notebook, "report = score("))
    assert (facts["explanations"], facts["failed_predictions"]) == (3, 0)
    assert count(lake, "predictions where selection = 'notebook'") == facts["new"]
    assert n_rows(shown(notebook, "scores = con.sql(")) == 3 * 2
    n_wrong = count(
        lake,
        "predictions where selection = 'notebook' and latent = 0 and scorer = 'detection' "
        "and control = 'none' and truth <> prediction",
    )
    page = shown(notebook, "analysis/misjudged_windows", "text/html")
    assert page.count("<b>missed</b>") + page.count("<b>false alarm</b>") == n_wrong


def test_scores_are_joined_with_metadata(
    executed: tuple[Path, list[nbformat.NotebookNode]],
) -> None:
    lake, (*_, notebook) = executed
    n_latents = count(
        lake,
        "scores where selection = 'default' and scorer = 'detection' and control = 'none'",
    )
    assert n_latents > 40
    pictures = [
        output["data"]["image/png"]
        for one in notebook.cells
        for output in one.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2
    assert min(map(len, pictures)) > 5_000
    floors = shown(notebook, "analysis/own_against_floors")
    assert n_rows(floors) == 2 * 2
    assert f" {n_latents} " in floors
    assert n_rows(shown(notebook, "ranked.head(10)")) == 20
    fifths = shown(notebook, "discrimination.accuracy")
    counts = [int(number) for number in re.findall(r"^│ (\d+)", fifths, re.MULTILINE)]
    assert (len(counts), sum(counts)) == (5, n_latents)


@pytest.mark.parametrize("name", IN_ORDER)
def test_what_is_committed_has_outputs_of_every_cell(name: str) -> None:
    file = FOLDER / f"{name}.ipynb"
    text = file.read_text(encoding="utf-8")
    assert len(text) < MOST_BYTES
    assert not PLACES.search(text), "a path of somebody's machine"
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    code = [one for one in notebook.cells if one.cell_type == "code"]
    assert [one.execution_count for one in code] == [*range(1, len(code) + 1)]
    kinds = {output.output_type for one in code for output in one.outputs}
    assert "error" not in kinds
    assert "execute_result" in kinds


def test_every_notebook_is_executed() -> None:
    assert {file.stem for file in FOLDER.glob("*.ipynb")} == set(IN_ORDER)
