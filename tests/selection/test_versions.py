"""What is written again when settings, code or data before it change, and what stays.

Neighbours, latents and windows cost nothing; a selection stays once an answer stands on it.
"""

from pathlib import Path

import duckdb
import pytest

from delphi_assets.errors import ConflictError
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.code_versions import CODE_VERSIONS
from delphi_assets.lake.lake import File, read_parquet
from delphi_assets.lake.units import bucket_unit
from delphi_assets.selection.examples import select_examples
from delphi_assets.selection.latents import describe_latents
from delphi_assets.selection.neighbours import find_all_neighbours, find_neighbours
from delphi_assets.settings import NeighbourSettings, SelectionSettings
from tests.parts.random_lake import HOOKPOINT, RandomLake, random_lake

pytestmark = pytest.mark.slow


def wanting(n_neighbours: int) -> NeighbourSettings:
    return NeighbourSettings(n_neighbours=n_neighbours)


@pytest.fixture
def drawn(tmp_path: Path) -> RandomLake:
    """A lake with four neighbours a latent, and a selection that drew on them."""
    data = random_lake(tmp_path, min_examples=4, example_ctx_len=8)
    find_neighbours(data.profile, data.lake, HOOKPOINT, "co-occurrence", wanting(4))
    select_examples(data.profile, data.lake, HOOKPOINT, drawing())
    return data


def drawing(name: str = "default") -> SelectionSettings:
    sources = {"co-occurrence": 1.0}
    return SelectionSettings(
        name=name, min_examples=4, example_ctx_len=8, non_activating_source=sources
    )


def ranks(data: RandomLake) -> int:
    """The largest rank that a foreign reader finds in the table's folder."""
    found = duckdb.read_parquet(f"{data.lake.root}/neighbours/**/*.parquet")
    return int(found.max("rank").fetchall()[0][0])


def lose_activations(data: RandomLake) -> None:
    """Write the first bucket again without its first rows, as capturing again might."""
    unit = bucket_unit(data.profile.run.name, HOOKPOINT, 0)
    bucket = data.lake.manifest(unit)
    assert bucket is not None
    fewer = read_parquet(data.lake, data.lake.checked("activations", bucket.files)).slice(3)
    data.lake.publish(unit, [File(fewer)], bucket.config, bucket.facts, versioned=True)


def test_another_number_is_written_when_no_selection_drew_on_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = random_lake(tmp_path)
    for n_neighbours in (4, 2, 6):
        report = find_neighbours(
            data.profile, data.lake, HOOKPOINT, "co-occurrence", wanting(n_neighbours)
        )
        assert report.new_rows > 0
        assert ranks(data) == n_neighbours
    assert "is written again: neighbours.n_neighbours = 4, now neighbours.n_neighbours = 2" in (
        caplog.text
    )
    assert len(list((tmp_path / "superseded").rglob("*.parquet*"))) == 2


def test_another_number_is_insisted_on_when_a_selection_drew_on_them(drawn: RandomLake) -> None:
    place = (drawn.profile, drawn.lake, HOOKPOINT)
    with pytest.raises(
        ConflictError,
        match=r"n_neighbours = 4, now .* = 2 is asked for.*selections \['default'\] drew on it; "
        r"launch it with rebuild = true",
    ):
        find_neighbours(*place, "co-occurrence", wanting(2))
    assert ranks(drawn) == 4
    assert find_neighbours(*place, "co-occurrence", wanting(2), rebuild=True).new_rows > 0
    assert ranks(drawn) == 2
    again = find_all_neighbours(*place, wanting(2), rebuild=True)
    assert again.new_rows == 0, "what is there as it is asked for is not written again"


def test_neighbours_of_another_code_are_written_again(
    drawn: RandomLake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = (drawn.profile, drawn.lake, HOOKPOINT)
    before = find_neighbours(*place, "co-occurrence", wanting(4))
    assert (before.new_rows, before.code_versions) == (0, (1,))
    monkeypatch.setitem(CODE_VERSIONS, "neighbours", 2)
    after = find_neighbours(*place, "co-occurrence", wanting(4))
    assert (after.new_rows, after.code_versions) == (before.rows, (2,))
    assert after.data_version == before.data_version, "the same rows came out"
    assert "code version 1, now 2" in caplog.text
    assert find_neighbours(*place, "co-occurrence", wanting(4)).new_rows == 0


def test_neighbours_of_other_activations_are_written_again(drawn: RandomLake) -> None:
    place = (drawn.profile, drawn.lake, HOOKPOINT)
    lose_activations(drawn)
    assert find_neighbours(*place, "co-occurrence", wanting(4)).new_rows > 0
    assert find_neighbours(*place, "co-occurrence", wanting(4)).new_rows == 0


def test_latents_are_described_again(
    drawn: RandomLake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """For other neighbours, for another code, for other activations; not for nothing."""

    def describe() -> int:
        return describe_latents(drawn.profile, drawn.lake, HOOKPOINT).new_rows

    assert [describe(), describe()] == [12, 0]
    find_neighbours(drawn.profile, drawn.lake, HOOKPOINT, "co-occurrence", wanting(2), rebuild=True)
    assert [describe(), describe()] == [12, 0]
    assert "other neighbours are there now" in caplog.text
    monkeypatch.setitem(CODE_VERSIONS, "latents", 3)
    assert [describe(), describe()] == [12, 0]
    assert "code version 2, now 3" in caplog.text
    lose_activations(drawn)
    assert [describe(), describe()] == [12, 0]
    assert "made from other activations than are there now" in caplog.text
    found = duckdb.read_parquet(f"{drawn.lake.root}/latents/**/*.parquet")
    assert found.count("*").fetchall() == [(12,)]


def test_a_selection_that_nobody_answered_is_drawn_again(
    drawn: RandomLake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = (drawn.profile, drawn.lake, HOOKPOINT)
    before = select_examples(*place, drawing())
    monkeypatch.setitem(CODE_VERSIONS, "examples", 3)
    after = select_examples(*place, drawing())
    assert (before.new_rows, after.new_rows) == (0, before.rows)
    assert (before.code_versions, after.code_versions) == ((2,), (3,))
    assert "selection 'default' is drawn again: code version 2, now 3" in caplog.text
    assert select_examples(*place, drawing()).new_rows == 0
    find_neighbours(*place, "co-occurrence", wanting(1), rebuild=True)
    assert select_examples(*place, drawing()).new_rows > 0
    assert "drawn from other neighbours than are there now" in caplog.text


def test_a_selection_with_answers_stays_and_says_of_what_it_is(
    drawn: RandomLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is selected under another name: neighbours, activations and code are others."""
    place = (drawn.profile, drawn.lake, HOOKPOINT)
    before = select_examples(*place, drawing())
    lexical = drawn.profile.explain.model_copy(
        update={"explainer": "lexical", "explainer_model": "lexical"}
    )
    assert explain(*place, "all", lexical, "default").new_rows > 0
    find_neighbours(*place, "co-occurrence", wanting(1), rebuild=True)
    monkeypatch.setitem(CODE_VERSIONS, "examples", 3)
    lose_activations(drawn)
    after = select_examples(*place, drawing())
    assert (after.new_rows, after.rows, after.code_versions) == (0, before.rows, (2,))
    assert after.data_version == before.data_version
    assert after.outdated is not None
    for told in (
        "code version 2, now 3",
        "made from other activations",
        "drawn from other neighbours",
        "selection 'default' stay as they are",
        "under another name",
    ):
        assert told in after.outdated
    named = select_examples(*place, drawing("second"))
    assert named.new_rows > 0
    assert (named.code_versions, named.outdated) == ((3,), None)
    assert named.data_version != after.data_version


def test_windows_of_another_code_are_ranked_again(
    drawn: RandomLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CODE_VERSIONS, "windows", 2)
    select_examples(drawn.profile, drawn.lake, HOOKPOINT, drawing("second"))
    codes = {held.code for held in drawn.lake.manifests("windows")}
    assert codes == {2}
    found = duckdb.read_parquet(f"{drawn.lake.root}/windows/**/*.parquet")
    (row,) = found.aggregate("count(*), count(distinct (latent, position))").fetchall()
    assert row[0] == row[1]
