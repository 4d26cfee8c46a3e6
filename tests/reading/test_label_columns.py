"""Labels as columns: beside latents, against the table itself."""

import random
from pathlib import Path

import pyarrow as pa
import pytest

from delphi_assets import connect
from delphi_assets.lake.lake import Lake
from delphi_assets.reading.added_labels import add_labels
from delphi_assets.reading.label_columns import LabelColumn, LabelColumns
from tests.parts.hand_built import HOOKPOINT, RUN, latent, publish

pytestmark = pytest.mark.slow


def labelled(folder: Path, n_latents: int, *files: tuple[str, str]) -> Lake:
    """A lake of latents, with the labels of CSVs by their sources."""
    lake = Lake(folder / "lake")
    publish(lake, "latents", [latent(number, {}) for number in range(n_latents)])
    publish(lake, "latents", [latent(0, {})], hookpoint="other")
    for source, text in files:
        (folder / "labels.csv").write_text(text)
        add_labels(lake, folder / "labels.csv", source, RUN, HOOKPOINT)
    (folder / "labels.csv").write_text("latent,b\n0,elsewhere\n")
    add_labels(lake, folder / "labels.csv", "zoe", RUN, "other")
    return lake


def test_by_hand(tmp_path: Path) -> None:
    """Numbers where all are, texts elsewhere, of either source; null where there is none."""
    lake = labelled(
        tmp_path, 6, ("zoe", "latent,b,a\n5,4,x\n1,3.5,\n"), ("alice", "latent,b\n1,7\n2,none\n")
    )
    with connect(lake) as con:
        labels = LabelColumns(con, RUN, HOOKPOINT)
        assert labels.columns == [
            LabelColumn("alice", "b", 2, are_numbers=False),
            LabelColumn("zoe", "a", 1, are_numbers=False),
            LabelColumn("zoe", "b", 2, are_numbers=True),
        ]
        assert labels.table().to_pylist() == [
            {"latent": 1, "alice.b": "7", "zoe.a": None, "zoe.b": 3.5},
            {"latent": 2, "alice.b": "none", "zoe.a": None, "zoe.b": None},
            {"latent": 5, "alice.b": None, "zoe.a": "x", "zoe.b": 4.0},
        ]
        rows = pa.table({"latent": pa.array([3, 4], pa.int32())})
        assert labels.beside(rows, 3, 5).to_pylist() == [
            {"latent": latent, "alice.b": None, "zoe.a": None, "zoe.b": None} for latent in (3, 4)
        ]
        assert LabelColumns(con, "no", "where").table().to_pylist() == []


def test_against_the_table(tmp_path: Path) -> None:
    """Random labels of 40 latents, read range by range."""
    draw, files = random.Random(3), []
    for source in ("alice", "bob"):
        lines = ["latent,a,b,c"]
        for number in draw.sample(range(40), 25):
            drawn = (draw.randint(0, 9), draw.choice("xy1"), draw.choice(["", 3]))
            lines.append(",".join(map(str, (number, *drawn))))
        files.append((source, "\n".join(lines)))
    lake = labelled(tmp_path, 40, *files)
    with connect(lake) as con:
        stored = con.sql("select latent, source, name, value, number from labels").fetchall()
        labels = LabelColumns(con, RUN, HOOKPOINT)
        found: dict[tuple[int, str, str], object] = {}
        for first in range(0, 40, 7):
            latents = list(range(first, min(first + 7, 40)))
            rows = pa.table({"latent": pa.array(latents, pa.int32())})
            for row in labels.beside(rows, first, latents[-1] + 1).to_pylist():
                number = row.pop("latent")
                for title, held in row.items():
                    source, name = title.split(".")
                    found[number, source, name] = held
    kinds = {(one.source, one.name): one.are_numbers for one in labels.columns}
    expected = {
        (number, source, name): numeric if kinds[source, name] else value
        for number, source, name, value, numeric in stored
        if source != "zoe"
    }
    assert {key: held for key, held in found.items() if held is not None} == expected
    assert [kinds["bob", name] for name in "abc"] == [True, False, True]
