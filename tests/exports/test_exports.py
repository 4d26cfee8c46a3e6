"""Exports of a hookpoint: read back by other programs, and compared with the lake."""

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from delphi_assets.command_line import main
from delphi_assets.errors import DataError, NotReadyError, SettingError, StorageError
from delphi_assets.exports import neuronpedia_rows
from delphi_assets.exports import table as table_module
from delphi_assets.exports.hookpoint import Best, ExportedHookpoint
from delphi_assets.exports.neuronpedia import export_bulk
from delphi_assets.exports.neuronpedia_names import named
from delphi_assets.exports.table import _as_csv, _csv, export_table
from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import Lake
from delphi_assets.reading.added_labels import add_labels
from tests.parts.hand_built import (
    HOOKPOINT,
    RUN,
    WRITTEN,
    Row,
    add,
    answers,
    explanation,
    latent,
    publish,
    window,
)

pytestmark = pytest.mark.slow

N_LATENTS = 1_030
PLACE = {"run": RUN, "hookpoint": HOOKPOINT}
BATCHES = "v1/gemma-2-2b/0-set"


def judged(explanation_id: str, index: int, n_right: int, **columns: Any) -> list[Row]:
    """Four true and two false windows: balanced accuracy 0.5 + n_right / 8."""
    model = str(columns.pop("model", "lexical"))
    given = [*((True, number < n_right) for number in range(4)), (False, False), (False, False)]
    return answers(explanation_id, index, given, model=model, **columns)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """1,030 latents; of latent 0 three explanations, of 1,025 one with a long text."""
    lake = Lake(tmp_path_factory.mktemp("exports") / "lake")
    lake.claim_run(RUN, {"model.name": "google/gemma-2-2b", "corpus.dataset_repo": "corpus"})
    rows = [
        latent(
            i,
            {' "a",\n': 0.5} if i % 2 else {},
            n_activations=i,
            token_density=i / 2_000,
            min_activation=1.0,
            max_activation=1.0 + i,
            activation_histogram=[i, 2, 3, 4],
        )
        for i in range(N_LATENTS)
    ]
    publish(lake, "latents", rows)
    near: list[Row] = [
        {"latent": 0, "neighbour": 7, "rank": 2, "similarity": 0.5},
        {"latent": 0, "neighbour": 3, "rank": 1, "similarity": 0.75},
    ]
    publish(lake, "neighbours", near, method="decoder")
    publish(lake, "neighbours", near[:1], method="co-occurrence")
    texts = [
        explanation("counted", 0, "counted"),
        explanation("written", 0, 'written: "quoted", 漢字\n', "gpt"),
        explanation("unscored", 0, "unscored", "other"),
        explanation("lost", 0, "lost", "gpt", chosen=False),
        explanation("long", 1_025, "x" * 600, "gpt"),
        explanation("none", 2, None, "gpt", failure="late"),
    ]
    add(lake, "explanations", texts)
    intruder: Row = {"scorer": "intruder", "chance": 0.2}
    add(
        lake,
        "predictions",
        [
            *judged("counted", 0, 2), *judged("written", 0, 3, model="m"),
            *judged("written", 0, 1, model="z"), *judged("long", 1_025, 4, model="m"),
            *judged("lost", 0, 4, model="m"),
            *judged("long", 0, 1, model="m", control="shuffled"),
            *judged("nobody", 0, 0, model="m", control="empty"),
            *answers("none", 0, [(True, True), (True, "late")], model="m", **intruder),
        ],
    )  # fmt: skip
    windows = [
        window(0, 0, "train", 0, [0.0, 2.0, 0.5], quantile=1),
        window(0, 1, "test", 30, [4.0, 0.0, 5.0], quantile=0),
        window(0, 2, "test", 60, [0.0, 3.0, 0.0], quantile=1),
        window(0, 3, "test", 90, [0.0, 0.0, 0.0]),
        window(1_025, 0, "test", 60, [0.0, 2.0, 0.0], quantile=0),
    ]
    publish(
        lake, "examples", [{**row, "source": "quantiles"} for row in windows], selection="default"
    )
    # More rank bins than in the selection that is exported.
    other = [window(0, 0, "train", 0, [9.0], quantile=9)]
    publish(lake, "examples", [{**row, "source": "quantiles"} for row in other], selection="other")
    return lake


def source_of(lake: Lake, **best: str) -> ExportedHookpoint:
    return ExportedHookpoint(lake, None, None, Best(**best))


def bulk(lake: Lake, folder: Path, **best: str) -> Path:
    with source_of(lake, **best) as source:
        config = lake.run_settings(RUN)
        names = named(source.run, source.hookpoint, source.num_latents, config, source_set="set")
        return export_bulk(source, names, "default", folder).folder


def lines(folder: Path, kind: str) -> list[Row]:
    paths = [folder / kind / f"batch-{number}.jsonl.gz" for number in range(2)]
    assert sorted(folder.joinpath(kind).iterdir()) == paths
    texts = [gzip.decompress(path.read_bytes()).decode() for path in paths]
    return [json.loads(line) for text in texts for line in text.splitlines()]


@pytest.fixture(scope="module")
def folder(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bulk files of the lake."""
    return bulk(lake, tmp_path_factory.mktemp("bulk"))


FIELDS = {
    "features": "modelId layer index maxActApprox frac_nonzero freq_hist_data_bar_heights "
    "freq_hist_data_bar_values neg_str neg_values pos_str pos_values topkCosSimIndices "
    "topkCosSimValues vector",
    "activations": "tokens modelId layer index maxValue maxValueTokenIndex minValue values binMin "
    "binMax binContains",
    "explanations": "modelId layer index description typeName explanationModelName",
}


def test_bulk_files_are_what_the_format_says(folder: Path) -> None:
    """Names of files and fields, ids, and 1,024 latents in a batch."""
    assert folder.parts[-3:] == tuple(BATCHES.split("/"))
    assert sorted(path.name for path in folder.iterdir()) == [
        "activations", "explanations", "features", "model.jsonl", "release.jsonl", "scores",
        "source.jsonl", "sourceset.jsonl",
    ]  # fmt: skip
    for kind, fields in FIELDS.items():
        for row in lines(folder, kind):
            assert set(fields.split()) <= set(row)
            assert (row["modelId"], row["layer"]) == ("gemma-2-2b", "0-set")
            assert isinstance(row["index"], str)
    with gzip.open(folder / "features/batch-0.jsonl.gz") as batch:
        first = [json.loads(line) for line in batch]
    assert [row["index"] for row in first] == [str(i) for i in range(1_024)]
    read = {
        name: json.loads((folder / f"{name}.jsonl").read_text(encoding="utf-8"))
        for name in ("release", "model", "sourceset", "source")
    }
    assert read["model"]["id"] == read["source"]["modelId"] == read["sourceset"]["modelId"]
    assert read["source"]["id"] == "0-set"
    assert read["source"]["setName"] == read["sourceset"]["name"] == "set"
    assert read["sourceset"]["releaseName"] == read["release"]["name"]


def test_features_are_the_latents(lake: Lake, folder: Path) -> None:
    rows = lines(folder, "features")
    assert len(rows) == N_LATENTS
    with connect(lake) as con:
        known = con.sql("from latents order by latent").to_arrow_table().to_pylist()
    for row, held in zip(rows, known, strict=True):
        assert row["index"] == str(held["latent"])
        assert row["maxActApprox"] == held["max_activation"]
        assert row["frac_nonzero"] == held["token_density"]
        assert row["freq_hist_data_bar_heights"] == held["activation_histogram"]
    # Latent 8: bins of width 2 from 1; a value for each height.
    assert rows[8]["freq_hist_data_bar_values"] == [2.0, 4.0, 6.0, 8.0]
    assert (rows[0]["topkCosSimIndices"], rows[0]["topkCosSimValues"]) == ([3, 7], [0.75, 0.5])
    assert rows[1]["topkCosSimIndices"] == []


def test_activations_are_the_windows(folder: Path) -> None:
    """Strongest first; bins of the exported selection: 2 of them, not 10."""
    rows = lines(folder, "activations")
    names = ("index", "values", "maxValue", "maxValueTokenIndex", "minValue", "binMin", "binMax",
             "binContains", "tokens")  # fmt: skip
    abc = ["a", "b", "c"]
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("0", [4.0, 0.0, 5.0], 5.0, 2, 0.0, 5.0, 5.0, 0.5, abc),
        ("0", [0.0, 3.0, 0.0], 3.0, 1, 0.0, 2.0, 3.0, 0.5, abc),
        ("0", [0.0, 2.0, 0.5], 2.0, 1, 0.0, 2.0, 3.0, 0.5, abc),
        ("1025", [0.0, 2.0, 0.0], 2.0, 1, 0.0, 2.0, 2.0, 1.0, abc),
    ]
    assert len({row["id"] for row in rows}) == 4


def test_a_negative_latent_is_exported_by_magnitude(tmp_path: Path) -> None:
    """The strongest window first; what Neuronpedia calls the largest value stays that."""
    lake = Lake(tmp_path / "lake")
    publish(lake, "latents", [latent(0, {}, max_activation=-0.5, min_activation=-5.0)])
    shown = {"source": "quantiles", "quantile": 0}
    publish(
        lake,
        "examples",
        [
            window(0, 0, "train", 0, [0.0, -0.5, 0.0], **shown),
            window(0, 1, "train", 3, [-5.0, -1.0, 2.0], **{**shown, "max_activation": -5.0}),
        ],
        selection="default",
    )
    with connect(lake) as con:
        span: Row = {**PLACE, "first": 0, "last": 1}
        (held,) = query(con, "exports/features", **span).to_pylist()
        windows = query(con, "exports/windows", **span, selection="default").to_pylist()
    source = named(RUN, HOOKPOINT, 1, {"model.name": "m"})
    assert neuronpedia_rows.feature(source, held)["maxActApprox"] == 5
    rows = [neuronpedia_rows.activation(source, row, None) for row in windows]
    names = ("maxValue", "maxValueTokenIndex", "minValue", "qualifyingTokenIndex")
    assert [tuple(row[name] for name in names) for row in rows] == [(2, 2, -5, 0), (0, 0, -0.5, 1)]


def test_explanations_are_the_best_and_short(folder: Path) -> None:
    rows = lines(folder, "explanations")
    names = ("index", "description", "typeName", "explanationModelName")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("0", 'written: "quoted", 漢字\n', "default", "gpt"),
        ("1025", "x" * 511 + "…", "default", "gpt"),
    ]


def test_scores_lie_beside(folder: Path) -> None:
    rows = lines(folder, "scores")
    names = ("index", "explanationId", "scorer", "metric", "value", "shuffled", "empty", "chance",
             "explanationScoreModelName", "nExamples", "nFailed")  # fmt: skip
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("0", "written", "detection", "balanced_accuracy", 0.875, 0.625, 0.5, None, "m", 6, 0),
        ("0", "written", "intruder", "accuracy", 1.0, None, None, 0.2, "m", 2, 1),
        ("1025", "long", "detection", "balanced_accuracy", 1.0, None, None, None, "m", 6, 0),
    ]  # fmt: skip
    assert 0 < float(str(rows[0]["valueLow"])) < 0.875 < float(str(rows[0]["valueHigh"])) <= 1


CHOICES: list[tuple[dict[str, str], str]] = [
    ({}, "written"),
    ({"scorer_model": "z"}, "counted"),
    ({"metric": "auroc"}, "written"),
    ({"explainer": "lexical"}, "counted"),
    ({"explainer_model": "other"}, "unscored"),
]


@pytest.mark.parametrize(("best", "expected"), CHOICES)
def test_the_best_explanation_can_be_chosen(
    lake: Lake, best: dict[str, str], expected: str
) -> None:
    """By judge z it scores 0.625, counting has 0.75; none has an AUROC: by key then."""
    with source_of(lake, **best) as source:
        (of, _) = source.ranges(1_024)
        (row, *_) = source.explanations(of).to_pylist()
    assert (row["latent"], row["explanation_id"]) == (0, expected)


def test_the_best_explanation_is_the_maximum(tmp_path: Path) -> None:
    """Random scores with ties, against `max`; ranges of any size give the same."""
    rng = np.random.default_rng(5)
    lake = Lake(tmp_path / "lake")
    publish(lake, "latents", [latent(i, {}) for i in range(30)])
    score: dict[tuple[int, str], int | None] = {}
    texts, given = [], []
    for i in range(30):
        for model in ("b", "a", "c")[: rng.integers(0, 4)]:
            texts.append(explanation(f"{model}{i}", i, model, model))
            score[i, model] = int(rng.integers(0, 4)) if rng.random() < 0.8 else None
            if score[i, model] is not None:
                given += judged(f"{model}{i}", i, score[i, model] or 0)
    add(lake, "explanations", texts)
    add(lake, "predictions", given)
    expected: dict[int, str] = {}
    for (i, model), held in sorted(score.items(), key=lambda item: item[0]):
        before = score.get((i, expected.get(i, "")))
        if i not in expected or (held is not None and (before is None or held > before)):
            expected[i] = model
    for size in (7, 30):
        with source_of(lake) as source:
            rows = [
                row for of in source.ranges(size) for row in source.explanations(of).to_pylist()
            ]
        assert {row["latent"]: row["explainer_model"] for row in rows} == expected


@pytest.fixture(scope="module", params=[".parquet", ".csv"])
def table(
    request: pytest.FixtureRequest, lake: Lake, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The flat table of the lake."""
    path = tmp_path_factory.mktemp("table") / f"latents{request.param}"
    with source_of(lake) as source:
        written = export_table(source, path)
    assert (written.rows, written.explained) == (N_LATENTS, 2)
    assert written.bytes == path.stat().st_size
    return path


def test_polars_and_pandas_read_the_same(lake: Lake, table: Path) -> None:
    """Every value of the latents, and the best explanation beside them."""
    if table.suffix == ".parquet":
        polars, pandas = pl.read_parquet(table), pd.read_parquet(table)
    else:
        polars, pandas = pl.read_csv(table), pd.read_csv(table)
    with connect(lake) as con:
        known = con.sql("from latents order by latent").to_arrow_table()
    assert polars.height == len(pandas) == N_LATENTS
    assert polars.columns == list(pandas.columns)
    for name in ("latent", "n_activations", "token_density", "max_activation"):
        assert polars[name].to_list() == pandas[name].tolist() == known[name].to_pylist()
    lists = [
        json.loads(held) if isinstance(held, str) else held
        for held in polars["top_tokens"].to_list()
    ]
    assert lists == known["top_tokens"].to_pylist()
    row: dict[str, Any] = polars.row(0, named=True)
    assert row["explanation"] == pandas["explanation"][0] == 'written: "quoted", 漢字\n'
    expected = {
        **PLACE, "explanation_id": "written", "n_explanations": 3, "score": 0.875,
        "detection_balanced_accuracy": 0.875, "detection_shuffled": 0.625,
        "detection_empty": 0.5, "detection_judge": "m", "detection_failed": 0,
        "intruder_accuracy": 1.0, "intruder_chance": 0.2, "intruder_examples": 2,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["detection_balanced_accuracy_low"] < 0.875 < row["detection_balanced_accuracy_high"]
    assert polars.filter(pl.col("explanation").is_not_null())["latent"].to_list() == [0, 1_025]


def test_the_lake_itself_is_read_without_us(lake: Lake) -> None:
    """A table's folder by Polars and pandas; views through a connection, as frames of either."""
    folder = lake.location("latents")
    scanned = pl.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=True).sort("latent")
    pandas = pd.read_parquet(folder).sort_values("latent")
    with connect(lake) as con:
        known = con.sql("from latents order by latent").pl()
        columns = [name for name in known.columns if name != "written_at"]
        assert scanned.select(columns).collect().equals(known.select(columns))
        assert pandas["max_activation"].tolist() == known["max_activation"].to_list()
        assert pandas["run"].unique().tolist() == [RUN]
        scores = con.sql("select latent, scorer, recall from scores order by all")
        assert scores.pl().rows() == [tuple(row) for row in scores.df().itertuples(index=False)]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_labels_are_columns_of_the_table(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As numbers where all are, whatever range they are in; texts of CSV are no formulas."""
    lake = Lake(tmp_path / "lake")
    publish(lake, "latents", [latent(number, {}) for number in range(9)])
    (tmp_path / "labels.csv").write_text("latent,rating,note\n0,4,=1+1\n8,2.5,late\n")
    add_labels(lake, tmp_path / "labels.csv", "alice")
    monkeypatch.setattr(table_module, "_LATENTS_AT_ONCE", 4)
    with source_of(lake) as source:
        export_table(source, tmp_path / f"table{suffix}")
    read = pl.read_parquet if suffix == ".parquet" else pl.read_csv
    held = read(tmp_path / f"table{suffix}")
    assert held["alice.rating"].to_list() == [4.0, *[None] * 7, 2.5]
    first = "=1+1" if suffix == ".parquet" else "'=1+1"
    assert held["alice.note"].to_list() == [first, *[None] * 7, "late"]


def test_table_is_flat_and_whole(table: Path) -> None:
    if table.suffix == ".csv":
        with table.open(encoding="utf-8", newline="") as source:
            header, *rows = csv.reader(source)
        assert len(rows) == N_LATENTS
        assert all(len(row) == len(header) for row in rows)
    else:
        assert pq.read_metadata(table).num_rows == N_LATENTS


def test_same_lake_same_bytes(lake: Lake, folder: Path, table: Path, tmp_path: Path) -> None:
    again = bulk(lake, tmp_path / "again")
    for path in (path for path in folder.rglob("*") if path.is_file()):
        assert path.read_bytes() == (again / path.relative_to(folder)).read_bytes(), path
    with source_of(lake) as source:
        export_table(source, tmp_path / table.name)
    assert (tmp_path / table.name).read_bytes() == table.read_bytes()


def test_no_text_of_csv_is_a_formula(tmp_path: Path) -> None:
    rows = pa.table({"n": [-1, -2], "t": ["=1+1", "'=1"], "l": [["=1"], ["-1"]]})
    writer = _csv(tmp_path / "t.csv", _as_csv(rows).schema)
    writer.write_table(_as_csv(rows))
    writer.close()
    held = pl.read_csv(tmp_path / "t.csv")
    assert held["n"].to_list() == [-1, -2]
    assert held["t"].to_list() == ["'=1+1", "''=1"]
    assert held["l"].to_list() == ['["=1"]', '["-1"]']


INTERRUPTED = """
import signal, sys, threading, time, os
from delphi_assets import command_line
from delphi_assets.exports import neuronpedia_rows
from delphi_assets.exports.hookpoint import ExportedHookpoint

asked = ExportedHookpoint.scores

def slow(self, of):
    # In the middle of a statement, where the signal finds the program most of the time.
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    self.con.sql("select sum(a.range % 7) from range(10000000) a, range(1000000) b").fetchall()
    return asked(self, of)

ExportedHookpoint.scores = slow
sys.exit(command_line.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["export-table", "export-neuronpedia"])
def test_ctrl_c_leaves_nothing(lake: Lake, tmp_path: Path, command: str) -> None:
    target = "latents.csv" if command == "export-table" else "bulk"
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, command, lake.location(""), str(tmp_path / target)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 130
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_there_is_not_replaced(lake: Lake, folder: Path, table: Path) -> None:
    before = table.read_bytes()
    with source_of(lake) as source, pytest.raises(DataError, match="is there already"):
        export_table(source, table)
    with pytest.raises(DataError, match="is there already"):
        bulk(lake, folder.parents[2])
    assert table.read_bytes() == before


class FullDisk(ExportedHookpoint):
    """Fails when it comes to the second thing to write."""

    def scores(self, of: Any) -> Any:
        raise OSError(28, "No space left on device")


def test_nothing_is_left_of_what_failed(lake: Lake, tmp_path: Path) -> None:
    with FullDisk(lake, RUN, HOOKPOINT) as source:
        with pytest.raises(StorageError, match="No space left"):
            export_table(source, tmp_path / "latents.csv")
        names = named(RUN, HOOKPOINT, 5, {"model.name": "m"})
        with pytest.raises(StorageError, match="No space left"):
            export_bulk(source, names, "default", tmp_path / "bulk")
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []
    assert not (tmp_path / "bulk/v1/m/0-hand").exists()


def test_names_at_neuronpedia() -> None:
    config = {"model.name": "google/gemma-2-2b"}
    ids = [
        named("demo", hookpoint, 5, config).source_id
        for hookpoint in ("layers.9", "model.layers.20.mlp@wide", "gpt_neox.layers.3.attention")
    ]
    assert ids == ["9-demo", "20-mlp-wide-demo", "3-attention-demo"]
    assert named("demo", "layers.9", 5, {"model.name": "embedded:gemma-3-270m"}).model_id == (
        "gemma-3-270m"
    )
    with pytest.raises(SettingError, match="--layer"):
        named("demo", "embed", 5, config)
    assert named("demo", "embed", 5, config, layer=0).source_id == "0-embed-demo"
    with pytest.raises(SettingError, match="--model-id"):
        named("demo", "layers.9", 5, {})
    with pytest.raises(SettingError, match="--source-set"):
        named("demo", "layers.9", 5, config, source_set="a/b")


def test_wrong_choices_are_refused(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="expected one of balanced_accuracy"):
        source_of(lake, metric="size")
    with pytest.raises(SettingError, match="detection"):
        source_of(lake, scorer="detektion")
    with pytest.raises(SettingError, match="holds no run 'other'"):
        ExportedHookpoint(lake, "other", None)
    with source_of(lake) as source:
        with pytest.raises(SettingError, match=r"\.parquet or \.csv"):
            export_table(source, tmp_path / "latents.txt")
        names = named(RUN, HOOKPOINT, 5, {"model.name": "m"})
        with pytest.raises(NotReadyError, match="selection 'absent'"):
            export_bulk(source, names, "absent", tmp_path / "bulk")
    assert not list(tmp_path.rglob("*.jsonl*"))
    with pytest.raises(NotReadyError, match="no lake"):
        ExportedHookpoint(Lake(tmp_path / "absent"), None, None)


def test_before_anything_is_explained(tmp_path: Path) -> None:
    """Latents alone are a table too."""
    lake = Lake(tmp_path / "lake")
    publish(lake, "latents", [latent(i, {}, n_activations=i) for i in range(3)])
    with source_of(lake) as source:
        assert export_table(source, tmp_path / "latents.csv").rows == 3
    assert pl.read_csv(tmp_path / "latents.csv")["explanation"].to_list() == [None] * 3


def test_commands(lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-table", lake.url, str(tmp_path / "a.parquet"), "--metric", "f1"]) == 0
    assert "rows: 1030\n" in capsys.readouterr().out
    given = ["--source-set", "set", "--creator-id", "me", "--windows", "other"]
    assert main(["export-neuronpedia", lake.url, str(tmp_path / "bulk"), *given]) == 0
    out = capsys.readouterr().out
    assert "activations: 1\n" in out
    assert "descriptions_cut: 1\n" in out
    (row, *_) = lines(tmp_path / "bulk" / BATCHES, "explanations")
    assert (row["authorId"], row["createdAt"]) == ("me", WRITTEN.isoformat(timespec="milliseconds"))
    assert main(["export-neuronpedia", lake.url, str(tmp_path / "bulk"), *given]) == 1
    assert "is there already" in capsys.readouterr().err
