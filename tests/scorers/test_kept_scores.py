"""Scores that are kept on a connection; influences see `test_document_influences`."""

import pytest

from delphi_assets import connect
from delphi_assets.lake.lake import Lake
from delphi_assets.scorers.kept_scores import keep_scores
from tests.parts.explorer_lake import FAR, SCORED, write_lake
from tests.parts.hand_built import PLACE


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two latents with scores."""
    return write_lake(tmp_path_factory.mktemp("kept") / "lake")


def test_scores_are_kept_a_range_of_latents_after_the_other(lake: Lake) -> None:
    """Each one once, and none that was not asked for."""
    with connect(lake) as con:
        wanted = f"select * from kept_scores where latent in ({SCORED}, {FAR}) order by all"
        expected = con.sql(wanted).fetchall()
        assert {row[2] for row in expected} == {SCORED, FAR}
        keep_scores(con, **PLACE, parts=[[SCORED], [FAR]])
        assert con.sql("from kept_scores order by all").fetchall() == expected
        keep_scores(con, **PLACE, parts=[[SCORED]])
        assert {row[2] for row in con.sql("from kept_scores").fetchall()} == {SCORED}
        keep_scores(con, **PLACE, parts=None)
        assert (
            con.sql("from kept_scores order by all").fetchall()
            == con.sql(
                "from memory.main.kept_scores "
                "where run = $run and hookpoint = $hookpoint order by all",
                params=PLACE,
            ).fetchall()
        )
