"""Labels of one's own: what files may hold, what is refused, and which value counts."""

import random
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delphi_assets import connect
from delphi_assets.command_line import main
from delphi_assets.errors import DataError, NotReadyError, SettingError
from delphi_assets.lake import compaction
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import LABELS
from delphi_assets.lake.verification import problems
from delphi_assets.reading.added_labels import add_labels, remove_labels
from delphi_assets.reading.label_files import numbers
from tests.parts.hand_built import HOOKPOINT, PLACE, RUN, add, explanation, latent, publish

pytestmark = pytest.mark.slow

Label = tuple[int, str, str, float | None]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Ten latents at one hookpoint."""
    lake = Lake(tmp_path / "lake")
    publish(lake, "latents", [latent(number, {}) for number in range(10)])
    return lake


def labels(lake: Lake, columns: str = "latent, name, value, number") -> list[Any]:
    with connect(lake) as con:
        return con.sql(f"select {columns} from labels order by all").fetchall()


def written(folder: Path, text: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_a_csv_as_spreadsheets_write_it(lake: Lake, tmp_path: Path) -> None:
    """A byte order mark, quoted line breaks, empty fields, a column of nothing at the end."""
    text = 'latent,rating,note,\r\n3,4,"two\r\nlines, with a comma",\r\n5,,=1+1,\r\n7,3.50,,\r\n'
    report = add_labels(lake, written(tmp_path, text, encoding="utf-8-sig"), "alice")
    assert (report.rows, report.new_rows) == (4, 4)
    assert report.facts == {
        "latents": 3, "names": 2, "added": 4, "replaced": 0, "unchanged": 0,
    }  # fmt: skip
    assert labels(lake) == [
        (3, "note", "two\r\nlines, with a comma", None),
        (3, "rating", "4", 4.0),
        (5, "note", "=1+1", None),
        (7, "rating", "3.50", 3.5),
    ]
    (row,) = set(labels(lake, "run, hookpoint, source"))
    assert row == (RUN, HOOKPOINT, "alice")
    assert list(problems(lake)) == []


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(lake: Lake, tmp_path: Path, delimiter: str) -> None:
    text = f"note{delimiter} latent \na,b{delimiter}3\n".replace("\t", "\t")
    add_labels(lake, written(tmp_path, text, "labels.tsv"), "alice")
    assert labels(lake) == [(3, "note", "a,b", None)]


COLUMNS: dict[str, tuple[pa.Array, list[Label]]] = {
    "int": (pa.array([5, None], pa.int8()), [(1, "int", "5", 5.0)]),
    "big": (pa.array([2**63, None], pa.uint64()), [(1, "big", str(2**63), 2.0**63)]),
    "half": (pa.array([0.5, 2.0], pa.float16()), [(1, "half", "0.5", 0.5), (2, "half", "2", 2.0)]),
    "float": (pa.array([0.1, float("nan")], pa.float32()), [(1, "float", "0.1", 0.1)]),
    "double": (pa.array([1e300, None]), [(1, "double", "1e+300", 1e300)]),
    "infinite": (pa.array([float("inf"), float("nan")]), [(1, "infinite", "inf", None)]),
    "decimal": (pa.array([Decimal("1.50"), None]), [(1, "decimal", "1.50", 1.5)]),
    "bool": (pa.array([True, False]), [(1, "bool", "true", None), (2, "bool", "false", None)]),
    "text": (pa.array(["a", ""]), [(1, "text", "a", None)]),
    "large": (pa.array([None, "7"], pa.large_string()), [(2, "large", "7", 7.0)]),
    "category": (pa.array(["a", None]).dictionary_encode(), [(1, "category", "a", None)]),
    "null": (pa.nulls(2), []),
}  # fmt: skip


def test_a_parquet_file_of_every_kind_of_column(lake: Lake, tmp_path: Path) -> None:
    rows = {name: column for name, (column, _) in COLUMNS.items()}
    # A folder such as run=other says nothing.
    path = tmp_path / "run=other" / "labels.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"latent": pa.array([1.0, 2.0]), **rows}), path)
    add_labels(lake, path, "alice")
    expected = [label for _, several in COLUMNS.values() for label in several]
    assert labels(lake) == sorted(expected)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([[1], [2]]), "list<element: int64>"),
        (pa.array([{"a": 1}, {"a": 2}]), "struct<a: int64>"),
        (pa.array([b"a", b"b"]), "binary"),
        (pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 2), r"timestamp\[us, tz=UTC\]"),
    ],
)
def test_other_types_are_refused_by_name(
    lake: Lake, tmp_path: Path, column: pa.Array, kind: str
) -> None:
    path = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"latent": [1, 2], "odd one": column}), path)
    with pytest.raises(DataError, match=f"has {kind} in the column 'odd one'; expected texts"):
        add_labels(lake, path, "alice")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("latent,a\n3,x\n10,y\n12,\n99,z\n", "labels of latents 10 and 99, which hookpoint"),
        ("latent,a,b\n3,x,\n4,x,y\n3,y,\n", "several values of 'a' for latent 3 at hookpoint"),
        ("latent,a,b,b\n", "has the column 'b' twice"),
        ("latent,a\n-1,x\n", "has the latent '-1' in row 1 .*; expected a number from 0"),
        ("latent,a\n1,x\n,y\n", "has the latent None in row 2"),
        ("latent,a\n1,x\n1.5,y\n", "has the latent '1.5' in row 2"),
        ("latent,a\n9999999999,x\n", "has the latent '9999999999' in row 1"),
        ("index,a\n1,x\n", r"has the columns \['index', 'a'\]; expected one called 'latent'"),
        ("latent\n1\n", r"has the columns \['latent'\]; expected one of labels beside"),
        ("", "cannot be read"),
        ("latent,a\n1,x,y\n", "cannot be read .*Expected 2 columns, got 3"),
        ("latent,,a\n1,0,x\n", "has a column without a name; expected one. pandas"),
        ("latent,hookpoint,a\n1,layers.0,x\n2,,x\n", "has no hookpoint in row 2"),
        ("latent,a\n1,caf\u00e9\n", "cannot be read"),
    ],
)
def test_what_is_refused_adds_nothing(lake: Lake, tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        add_labels(lake, written(tmp_path, text, encoding="latin-1"), "alice")
    assert labels(lake) == []


def test_a_repeated_latent_with_other_names_is_none(lake: Lake, tmp_path: Path) -> None:
    """As of files that were laid one below the other."""
    add_labels(lake, written(tmp_path, "latent,a,b\n3,x,\n3,,y\n"), "alice")
    assert labels(lake, "latent, name, value") == [(3, "a", "x"), (3, "b", "y")]


@pytest.mark.parametrize("source", ["", " a", "a ", "a.b", "a/b", "..", "a\nb"])
def test_a_source_that_is_no_name(lake: Lake, tmp_path: Path, source: str) -> None:
    with pytest.raises(SettingError, match="expected a name such as neuronpedia"):
        add_labels(lake, written(tmp_path, "latent,a\n1,x\n"), source)


@pytest.mark.parametrize("source", ["a", "my notes", "50% sure", "a=b", "K\u00f6ln", "*", "_"])
def test_a_source_with_an_odd_name(lake: Lake, tmp_path: Path, source: str) -> None:
    add_labels(lake, written(tmp_path, "latent,a\n1,x\n"), source)
    assert labels(lake, "source, value") == [(source, "x")]
    remove_labels(lake, source)
    assert labels(lake) == []


def test_edits_replace_and_an_empty_field_says_nothing(lake: Lake, tmp_path: Path) -> None:
    add_labels(lake, written(tmp_path, "latent,rating,note\n1,4,x\n2,5,y\n"), "alice")
    add_labels(lake, written(tmp_path, "latent,rating\n1,1\n"), "bob")
    second = written(tmp_path, "latent,rating,note,cluster\n1,3,,7\n2,5,z,\n")
    report = add_labels(lake, second, "alice")
    assert (report.rows, report.new_rows) == (4, 3)
    assert (report.facts["added"], report.facts["replaced"]) == (1, 2)
    assert report.facts["unchanged"] == 1
    assert add_labels(lake, second, "alice").new_rows == 0
    found = labels(lake, "source, latent, name, value")
    assert found == [
        ("alice", 1, "cluster", "7"), ("alice", 1, "note", "x"), ("alice", 1, "rating", "3"),
        ("alice", 2, "note", "z"), ("alice", 2, "rating", "5"), ("bob", 1, "rating", "1"),
    ]  # fmt: skip


def test_the_last_one_wins_whatever_the_clock_says(lake: Lake, tmp_path: Path) -> None:
    keys: dict[str, str | int] = {**PLACE, "source": "alice"}
    future = datetime.now(UTC) + timedelta(days=400)
    row: dict[str, object] = {"latent": 1, "name": "a", "value": "x", "written_at": future}
    row |= {"number": None, "generation": None}
    lake.append(LABELS, keys, LABELS.from_rows([row]))
    assert labels(lake, "latent, value") == [(1, "x")]
    add_labels(lake, written(tmp_path, "latent,a\n1,y\n"), "alice")
    assert labels(lake, "latent, value") == [(1, "y")]


def test_a_source_is_withdrawn_and_added_again(lake: Lake, tmp_path: Path) -> None:
    """Its files stay."""
    file = written(tmp_path, "latent,a,b\n1,x,1\n2,y,\n")
    for source in ("alice", "bob"):
        add_labels(lake, file, source)
    assert remove_labels(lake, "alice").new_rows == 3
    assert set(labels(lake, "source")) == {("bob",)}
    with pytest.raises(
        SettingError, match=r"no labels of source 'alice'.*holds those of \['bob'\]"
    ):
        remove_labels(lake, "alice")
    assert add_labels(lake, file, "alice").facts["added"] == 3
    assert len(labels(lake)) == 6
    assert len(list(Path(lake.location("labels")).rglob("*.parquet"))) == 4
    assert list(problems(lake)) == []


def two_hookpoints(lake: Lake) -> None:
    publish(lake, "latents", [latent(number, {}) for number in range(4)], hookpoint="layers.1")
    publish(lake, "latents", [latent(number, {}) for number in range(2)], run="other")


def test_which_hookpoint_is_meant(lake: Lake, tmp_path: Path) -> None:
    two_hookpoints(lake)
    file = written(tmp_path, "latent,a\n1,x\n")
    with pytest.raises(SettingError, match="lake holds 3; expected one of: run 'hand', hookpoint"):
        add_labels(lake, file, "alice")
    with pytest.raises(SettingError, match=r"run 'hand', hookpoint None .* holds 2"):
        add_labels(lake, file, "alice", run=RUN)
    with pytest.raises(SettingError, match=r"hookpoint 'layers\.9' .* holds none"):
        add_labels(lake, file, "alice", hookpoint="layers.9")
    add_labels(lake, file, "alice", run="other")
    add_labels(lake, file, "alice", hookpoint="layers.1")
    add_labels(lake, file, "alice", run=RUN, hookpoint=HOOKPOINT)
    assert labels(lake, "run, hookpoint") == [
        (RUN, HOOKPOINT), (RUN, "layers.1"), ("other", HOOKPOINT),
    ]  # fmt: skip
    assert remove_labels(lake, "alice", hookpoint="layers.1").new_rows == 1
    assert remove_labels(lake, "alice").new_rows == 2


def test_run_and_hookpoint_may_be_columns(lake: Lake, tmp_path: Path) -> None:
    """What one hookpoint lacks is refused for it, and nothing of the others is added."""
    two_hookpoints(lake)
    text = "hookpoint,latent,run,a\nlayers.0,9,hand,x\nlayers.1,3,hand,y\nlayers.0,1,other,z\n"
    with pytest.raises(SettingError, match="file has a column run"):
        add_labels(lake, written(tmp_path, text), "alice", run=RUN)
    wrong = text.replace("layers.1,3,", "layers.1,9,")
    with pytest.raises(DataError, match=r"latent 9, which hookpoint 'layers\.1' of run"):
        add_labels(lake, written(tmp_path, wrong), "alice")
    assert labels(lake) == []
    assert add_labels(lake, written(tmp_path, text), "alice").facts["latents"] == 3
    assert labels(lake, "run, hookpoint, latent, value") == [
        (RUN, HOOKPOINT, 9, "x"), (RUN, "layers.1", 3, "y"), ("other", HOOKPOINT, 1, "z"),
    ]  # fmt: skip
    only = "hookpoint,latent,a\nlayers.1,2,w\n"
    add_labels(lake, written(tmp_path, only), "alice")
    assert (RUN, "layers.1", 2, "w") in labels(lake, "run, hookpoint, latent, value")


def test_latents_of_an_import_without_activations(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    add(lake, "explanations", [explanation("e", 5, "a text")])
    add_labels(lake, written(tmp_path, "latent,a\n5,x\n"), "alice")
    with pytest.raises(DataError, match="latent 6"):
        add_labels(lake, written(tmp_path, "latent,a\n6,x\n"), "alice")


def test_in_an_object_store(tmp_path: Path) -> None:
    lake = Lake(f"memory://{tmp_path.name}/lake")
    publish(lake, "latents", [latent(number, {}) for number in range(10)])
    for text in ("latent,a\n1,x\n2,y\n", "latent,a\n1,z\n"):
        add_labels(lake, written(tmp_path, text), "my notes")
    assert labels(lake, "source, latent, value") == [("my notes", 1, "z"), ("my notes", 2, "y")]
    assert remove_labels(lake, "my notes").new_rows == 2
    assert labels(lake) == []


def test_without_a_lake(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="no lake"):
        add_labels(Lake(tmp_path / "none"), written(tmp_path, "latent,a\n6,x\n"), "alice")


def test_many_files_become_few(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MANY_AT_REST", 4)
    monkeypatch.setattr(compaction, "SETTLING", 0.0)
    for value in range(9):
        add_labels(lake, written(tmp_path, f"latent,a\n1,{value}\n"), "alice")
    assert len(list(Path(lake.location("labels")).rglob("*.parquet"))) < 5
    assert labels(lake, "latent, value") == [(1, "8")]


def test_against_a_dictionary_of_the_last_values(lake: Lake, tmp_path: Path) -> None:
    """Random files of both formats by two sources, one after the other."""
    draw, expected = random.Random(4), dict[tuple[str, int, str], str]()
    for number in range(12):
        source = draw.choice(["alice", "bob"])
        latents = draw.sample(range(10), draw.randint(1, 10))
        rows = {
            name: [draw.choice(["", "1", "2.5", "text", "-3e2"]) for _ in latents]
            for name in draw.sample(["a", "b", "c"], draw.randint(1, 3))
        }
        table = pa.table({"latent": latents, **rows})
        if draw.random() < 0.5:
            path = tmp_path / f"{number}.parquet"
            pq.write_table(table, path)
        else:
            lines = [",".join(table.column_names)]
            lines += [",".join(map(str, row.values())) for row in table.to_pylist()]
            path = written(tmp_path, "\n".join(lines), f"{number}.csv")
        add_labels(lake, path, source)
        expected |= {
            (source, one, name): value
            for name, values in rows.items()
            for one, value in zip(latents, values, strict=True)
            if value
        }
    found = labels(lake, "source, latent, name, value, number")
    assert {row[:3]: row[3] for row in found} == expected
    assert [row[4] for row in found] == [
        None if row[3] == "text" else float(row[3]) for row in found
    ]


@given(st.one_of(st.text(), st.from_regex(r"\s*[+-]?[0-9_.]{0,4}([eE]-?[0-9]{0,4})?\s*")))
@example("1_000")
@example("\u0663")
@example("0x10")
@example("1e999")
@example("nan")
@example("+.5e-3 ")
def test_a_text_is_a_number_where_python_reads_one(text: str) -> None:
    (found,) = numbers(pa.chunked_array([[text]], pa.string())).to_pylist()
    try:
        value = float(text)
    except ValueError:
        assert found is None
        return
    is_plain = text.isascii() and "_" not in text and not re.search(r"[ni]", text, re.IGNORECASE)
    assert found == (value if is_plain and abs(value) != float("inf") else None)


def test_the_commands(lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(written(tmp_path, "latent,a\n1,x\n"))
    root = lake.location("")
    assert main(["add-labels", root, file, "--source", "alice"]) == 0
    assert re.search(r"^labels: 1\n(.*\n)*added: 1\n", capsys.readouterr().out)
    assert main(["add-labels", root, file, "--source", "alice", "--run", "none"]) == 1
    assert "expected one of: run 'hand'" in capsys.readouterr().err
    assert main(["remove-labels", root, "--source", "alice"]) == 0
    assert re.search(r"^removed: 1\n", capsys.readouterr().out)
