"""What was replaced lies in `superseded/` until `vacuum` takes it away, and nothing else does."""

from pathlib import Path

import duckdb
import polars as pl
import pytest

from delphi_assets import connect
from delphi_assets.command_line import main
from delphi_assets.errors import NotReadyError, StorageError
from delphi_assets.lake import compaction
from delphi_assets.lake.compaction import compact
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import COMPLETIONS
from delphi_assets.lake.vacuum import apply, planned
from tests.lake.test_compaction import RUN, append
from tests.lake.test_lake import rows

UNIT = Unit("vocabulary", {"run": "r"})


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake with a unit that was written twice and four files that were merged."""
    monkeypatch.setattr(compaction, "SETTLING", 0.0)
    made = Lake(tmp_path / "lake")
    made.publish(UNIT, [File(rows(1, 2))], {})
    made.publish(UNIT, [File(rows(3))], {}, versioned=True)
    for number in range(4):
        append(made, number)
    assert compact(made, COMPLETIONS, RUN, many=4) == 4
    return made


def superseded(lake: Lake) -> list[Path]:
    return sorted(Path(lake.root, "superseded").rglob("*.parquet*"))


def test_files_that_were_merged_are_kept_outside_of_the_table(lake: Lake) -> None:
    names = [path.relative_to(Path(lake.root, "superseded")).parts[0] for path in superseded(lake)]
    assert names == ["completions"] * 4 + ["vocabulary"]
    kept = duckdb.sql(
        "select answer from read_parquet($files) order by answer",
        params={"files": [str(path) for path in superseded(lake)[:4]]},
    )
    assert kept.fetchall() == [("0",), ("1",), ("2",), ("3",)]


def test_foreign_readers_see_a_row_once(lake: Lake) -> None:
    """By what finds every file of a table's folder, without this library."""
    for name, count in (("vocabulary", 1), ("completions", 4)):
        found = f"{lake.root}/{name}/**/*.parquet"
        assert len(duckdb.read_parquet(found).fetchall()) == count
        assert pl.scan_parquet(found).collect().height == count


def test_vacuum_says_what_it_would_delete_then_deletes_it(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    there = superseded(lake)
    size = sum(path.stat().st_size for path in there)
    before = connect(lake).sql("select answer from completions order by 1").fetchall()
    assert main(["vacuum", lake.root]) == 0
    told = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert told["files"] == "5"
    assert told["bytes"] == str(size)
    assert "--apply" in told["deleted"]
    assert superseded(lake) == there
    assert main(["vacuum", lake.root, "--apply"]) == 0
    assert dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines()) == {
        "files": "5",
        "bytes": str(size),
        "deleted": "5",
    }
    assert not Path(lake.root, "superseded").exists()
    assert connect(lake).sql("select answer from completions order by 1").fetchall() == before
    assert planned(lake).files == []


def test_vacuum_touches_nothing_beside_superseded(lake: Lake) -> None:
    def others() -> dict[str, bytes]:
        found = (path for path in Path(lake.root).rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in found if "superseded" not in path.parts}

    before = others()
    apply(lake, planned(lake))
    assert others() == before


def test_what_is_replaced_after_the_look_stays(lake: Lake) -> None:
    plan = planned(lake)
    lake.publish(UNIT, [File(rows(5))], {}, versioned=True)
    apply(lake, plan)
    assert len(superseded(lake)) == 1


def test_a_place_without_a_lake_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="no lake"):
        planned(Lake(tmp_path / "nowhere"))


def test_a_file_that_cannot_be_deleted_is_named(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(lake.fs), "rm_file", _forbidden)
    with pytest.raises(StorageError, match=r"5 of 5 files .* the first of them .*superseded"):
        apply(lake, planned(lake))


def _forbidden(*given: object) -> None:
    raise PermissionError("read-only")


def test_a_lake_at_a_url_is_vacuumed_too(tmp_path: Path) -> None:
    lake = Lake(f"memory://{tmp_path.name}/vacuum")
    lake.publish(UNIT, [File(rows(1, 2))], {})
    lake.publish(UNIT, [File(rows(3))], {}, versioned=True)
    plan = planned(lake)
    assert len(plan.files) == 1
    apply(lake, plan)
    assert planned(lake).files == []
    assert connect(lake).table("vocabulary").fetchall()
