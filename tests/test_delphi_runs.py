"""Import and export of Delphi runs, on folders made by hand."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load_file

from delphi_assets.activations import capture
from delphi_assets.coders.preparation import prepare_coder
from delphi_assets.command_line import main
from delphi_assets.contexts import build_contexts
from delphi_assets.database import connect
from delphi_assets.delphi_runs.exporting import Chosen, export_run
from delphi_assets.delphi_runs.importing import import_run
from delphi_assets.errors import ConflictError, DataError, SettingError
from delphi_assets.examples import select_examples
from delphi_assets.explanations import explain
from delphi_assets.lake import Lake, read_parquet
from delphi_assets.latents import describe_latents
from delphi_assets.predictions import score
from delphi_assets.settings import Latents, Profile, load_profile
from tests.delphi_folders import (
    CTX_LEN,
    N_CONTEXTS,
    WIDTH,
    Fired,
    fired,
    make_run,
    tokens,
    write_hookpoint,
    write_split,
    write_text,
)
from tests.random_lake import random_lake
from tests.tiny_parts import make_tokenizer

A, B = "layers.0", "layers.1.mlp"
ALL = Latents(())
TABLES = ("contexts", "vocabulary", "weights", "activations", "explanations", "predictions")


def activations(lake: Lake, run: str, hookpoint: str) -> Fired:
    """The activations in the lake, after a look at their order."""
    held: Fired = {}
    for manifest in lake.manifests("activations", run=run, hookpoint=hookpoint):
        for file in manifest.files:
            rows = read_parquet(lake, [lake.location(file)])
            keys = list(
                zip(*(rows[name].to_pylist() for name in ("latent", "position")), strict=True)
            )
            assert keys == sorted(keys)
            held |= dict(zip(keys, rows["activation"].to_pylist(), strict=True))
    return held


def contents(lake: Lake, run: str) -> dict[str, pa.Table]:
    """The run's tables as people read them, but for ids and times."""
    con = connect(lake)
    tables = {}
    for name in TABLES:
        rows = con.sql(f"from {name}").to_arrow_table()
        rows = rows.filter(pa.compute.equal(rows["run"], run))
        kept = [c for c in rows.column_names if c not in ("run", "explanation_id", "written_at")]
        rows = rows.select(kept)
        order = [(c, "ascending") for c in kept if not pa.types.is_list(rows[c].type)]
        tables[name] = rows.sort_by(order)
    return tables


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
@pytest.mark.parametrize("edges", [(0, 10), (0, 4, 10), (0, 3, 6, 9, 10)])
def test_activations_and_contexts(tmp_path: Path, dtype: str, edges: tuple[int, ...]) -> None:
    """Every activation, whatever the splits, at its position; two hookpoints share contexts."""
    first, second = fired(1), fired(2)
    make_run(tmp_path / "in", {A: first, B: second}, dtype=dtype, edges=edges)
    lake = Lake(tmp_path / "lake")
    report = import_run(tmp_path / "in", lake, "mine")
    assert activations(lake, "mine", A) == first
    assert activations(lake, "mine", B) == second
    assert report.rows == report.new_rows == len(first) + len(second)
    assert report.facts["left_out"] == "log"
    contexts = contents(lake, "mine")["contexts"]
    assert contexts["tokens"].to_pylist() == tokens().tolist()
    assert import_run(tmp_path / "in", lake, "mine").new_rows == 0


def test_an_empty_split_and_an_older_spelling(tmp_path: Path) -> None:
    """A bare latents folder; latents 0 to 3 never fire; ctx_len and dataset_row are known."""
    held = fired(latents=range(4, WIDTH))
    older = {
        "cache_ctx_len": None,
        "ctx_len": CTX_LEN,
        "dataset_row": "raw",
        "dataset_column": None,
    }
    write_hookpoint(tmp_path / "latents" / A, held, **older)  # type: ignore[arg-type]
    lake = Lake(tmp_path / "lake")
    report = import_run(tmp_path / "latents", lake, "bare")
    assert activations(lake, "bare", A) == held
    assert (report.facts["explanations"], report.facts["predictions"]) == (0, 0)
    profile = load_profile(str(report.facts["profile"]))
    assert profile.corpus.dataset_column == "raw"
    assert describe_latents(profile, lake, A).facts["dead"] == 4


def test_explanations_and_scores(tmp_path: Path) -> None:
    """Texts, failures, and every answer with its quantile."""
    make_run(tmp_path / "in", {A: fired()})
    lake = Lake(tmp_path / "lake")
    report = import_run(tmp_path / "in", lake, "mine")
    assert report.facts["explanations"] == 2
    assert report.facts["failed_explanations"] == 1
    con = connect(lake)
    columns = "latent, explainer, model, explanation, failure"
    assert con.sql(f"select {columns} from explanations order by latent").fetchall() == [
        (1, "delphi", "some/llm", "words about “lakes”", None),
        (2, "delphi", "some/llm", None, "unparseable"),
    ]
    columns = "scorer, example, variant, truth, prediction, probability, quantile, failure"
    assert con.sql(f"select {columns} from predictions order by all").fetchall() == [
        ("detection", 0, "plain", True, True, 0.75, 0, None),
        ("detection", 1, "plain", True, None, None, 1, "unparseable"),
        ("detection", 2, "plain", False, True, 0.5, None, None),
        ("fuzz", 0, "true", True, True, None, 3, None),
        ("fuzz", 1, "false", False, False, None, None, None),
    ]
    asked = "select balanced_accuracy from scores where scorer = 'fuzz'"
    assert con.sql(asked).fetchall() == [(1.0,)]


def test_the_profile_continues_the_run(tmp_path: Path) -> None:
    """Stages before the import's tables find them done, those after it run."""
    positive = {place: abs(value) for place, value in fired().items()}
    make_run(tmp_path / "in", {A: positive})
    lake = Lake(tmp_path / "lake")
    report = import_run(tmp_path / "in", lake, "mine")
    profile = load_profile(str(report.facts["profile"]))
    lake.check_run("mine", profile.run_config())
    assert (profile.run.seed, profile.coder.sparse_model) == (5, "some/coder")
    assert Lake(profile.run.lake).root == lake.root
    assert build_contexts(profile, lake).new_rows == 0
    assert prepare_coder(profile, lake, A).new_rows == 0
    assert capture(profile, lake, [0]).new_rows == 0
    assert describe_latents(profile, lake, A).rows == WIDTH
    assert select_examples(profile, lake, A, profile.selection).rows > 0
    assert explain(profile, lake, A, ALL, profile.explain, "default").new_rows > 0
    assert score(profile, lake, A, ALL, profile.score, "default").new_rows > 0
    export_run(lake, "mine", tmp_path / "out", Chosen(explainer="lexical"))
    files = sorted((tmp_path / "out" / "scores" / "fuzz").iterdir())
    items = json.loads(files[0].read_text())
    window = profile.selection.example_ctx_len
    assert {(len(item["str_tokens"]), len(item["activations"])) for item in items} == {
        (window, window)
    }
    with pytest.raises(SettingError, match=r"--explainer"):
        export_run(lake, "mine", tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_round_trip(tmp_path: Path) -> None:
    """Imported, exported, imported: the same tables."""
    make_run(tmp_path / "in", {A: fired(1), B: fired(2)})
    lake = Lake(tmp_path / "lake")
    import_run(tmp_path / "in", lake, "first")
    export_run(lake, "first", tmp_path / "out")
    # The coder, the LLM and the seed are in run_config.json, which the export does not write.
    (tmp_path / "out" / "run_config.json").write_text(
        (tmp_path / "in" / "run_config.json").read_text()
    )
    import_run(tmp_path / "out", lake, "second")
    first, second = contents(lake, "first"), contents(lake, "second")
    for table in TABLES:
        assert first[table].num_rows > 0, table
        assert first[table].equals(second[table]), table


def test_exported_files_are_as_delphi_writes_them(tmp_path: Path) -> None:
    """A run of several token shards and buckets; its short last context is left out."""
    made = random_lake(tmp_path / "lake", n_tokens=1_000, ctx_len=32, num_latents=12, n_buckets=3)
    write_config(made.lake, made.profile)
    report = export_run(made.lake, "random", tmp_path / "out")
    assert report.facts["tokens_left_out"] == 1_000 % 32
    folder = tmp_path / "out" / "latents" / A
    names = ["0_3.safetensors", "4_7.safetensors", "8_11.safetensors", "config.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    found: dict[int, dict[int, float]] = {latent: {} for latent in range(12)}
    for first in (0, 4, 8):
        held = load_file(folder / f"{first}_{first + 3}.safetensors")
        assert (held["locations"].dtype, held["activations"].dtype) == (np.uint16, np.float16)
        assert held["tokens"].ravel().tolist() == made.tokens[: 31 * 32]
        assert held["locations"].tolist() == sorted(held["locations"].tolist())
        for (context, offset, latent), value in zip(
            held["locations"].tolist(), held["activations"].tolist(), strict=True
        ):
            found[first + latent][context * 32 + offset] = value
    for latent, values in made.fired.items():
        assert found[latent] == {p: value for p, value in values.items() if p < 31 * 32}
    config = json.loads((folder / "config.json").read_text())
    assert (config["cache_ctx_len"], config["n_splits"], config["n_tokens"]) == (32, 3, 31 * 32)


def write_config(lake: Lake, profile: Profile) -> None:
    """Give the manifests of a random lake the settings that the stages store."""
    for path in Path(lake.root, "manifests").rglob("*.json"):
        manifest = json.loads(path.read_text())
        if "table" in manifest:
            path.write_text(json.dumps({**manifest, "config": profile.run_config()}))


def test_texts_of_a_local_tokenizer(tmp_path: Path) -> None:
    """Tokens have their texts when the tokenizer is on this machine, else their ids."""
    make_tokenizer(tmp_path / "model", add_bos=True)
    make_run(tmp_path / "in", {A: fired()}, model_name=str(tmp_path / "model"))
    lake = Lake(tmp_path / "lake")
    assert import_run(tmp_path / "in", lake, "known").facts["str_tokens"] == "texts"
    vocabulary = contents(lake, "known")["vocabulary"].to_pylist()
    assert vocabulary[2]["str_token"] == "<bos>"
    assert vocabulary[2]["special"]
    assert sum(row["count"] for row in vocabulary) == N_CONTEXTS * CTX_LEN
    make_run(tmp_path / "ids", {A: fired()})
    assert import_run(tmp_path / "ids", lake, "unknown").facts["str_tokens"] == "ids only"
    assert contents(lake, "unknown")["vocabulary"]["str_token"][7].as_py() == "<7>"


def _cut(folder: Path) -> None:
    path = folder / "latents" / A / "4_9.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def _gap(folder: Path) -> None:
    (folder / "latents" / A / "0_3.safetensors").unlink()


def _last_missing(folder: Path) -> None:
    (folder / "latents" / A / "4_9.safetensors").unlink()


def _overlap(folder: Path) -> None:
    path = folder / "latents" / A / "4_9.safetensors"
    path.rename(path.with_name("3_9.safetensors"))


def _split(
    folder: Path, locations: list[list[int]], values: list[float], corpus: object = None
) -> None:
    write_split(
        folder / "latents" / A / "4_9.safetensors",
        np.array(locations, dtype="uint16"),
        np.array(values, dtype="float16"),
        None if corpus is None else np.asarray(corpus),
    )


def _key(folder: Path) -> None:
    path = folder / "latents" / A / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "n_split": 2}))


def _other_width(folder: Path) -> None:
    write_text(folder / "explanations" / f"{A}_latent{WIDTH}.txt", "too far")


def _other_tokens_at_b(folder: Path) -> None:
    path = folder / "latents" / B / "4_9.safetensors"
    write_split(path, np.array([[0, 0, 0]], "uint16"), np.array([1], "float16"), tokens() + 1)


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut": (_cut, r"4_9\.safetensors cannot be read"),
    "gap": (_gap, r"4_9\.safetensors begins at latent 4.*missing"),
    "last": (_last_missing, r"1 split files.*n_splits = 2"),
    "overlap": (_overlap, r"3_9\.safetensors.*overlaps"),
    "context": (lambda f: _split(f, [[N_CONTEXTS, 0, 0]], [1]), r"4_9.*context 6.*below 6"),
    "offset": (lambda f: _split(f, [[0, CTX_LEN, 0]], [1]), r"4_9.*offset 8.*below 8"),
    "latent": (lambda f: _split(f, [[0, 0, 6]], [1]), r"4_9.*latent 6.*below 6"),
    "inf": (lambda f: _split(f, [[0, 0, 0]], [np.inf]), r"4_9.*activation inf.*65504"),
    "nan": (lambda f: _split(f, [[0, 0, 0]], [np.nan]), r"4_9.*activation nan"),
    "twice": (lambda f: _split(f, [[0, 1, 2]] * 2, [1, 2]), r"4_9.*latent 6 at position 1 twice"),
    "tokens": (lambda f: _split(f, [[0, 0, 0]], [1], tokens() + 1), r"4_9.*other tokens"),
    "other tokens": (_other_tokens_at_b, r"layers\.1\.mlp/4_9.*other tokens"),
    "length": (lambda f: _split(f, [[0, 0, 0]], [1], tokens()[:, 1:]), r"4_9.*\[contexts, 8\]"),
    "shape": (lambda f: _split(f, [[0, 0]], [1]), r"4_9.*U16 \[1, 2\]"),
    "key": (_key, r"config\.json has an unknown key 'n_split'.*did you mean 'n_splits'"),
    "no config": (
        lambda f: (f / "latents" / A / "config.json").unlink(),
        r"config\.json is missing",
    ),
    "unexplained": (
        lambda f: (f / "explanations" / f"{A}_latent1.txt").unlink(),
        r"layers\.0_latent1\.txt scores an explanation that is not",
    ),
    "width": (_other_width, r"latent10\.txt is about latent 10"),
    "no string": (
        lambda f: write_text(f / "explanations" / f"{A}_latent1.txt", ["x"]),
        r"latent1\.txt holds a JSON list",
    ),
    "answer": (
        lambda f: write_text(f / "scores" / "fuzz" / f"{A}_latent1.txt", [{"activating": 3}]),
        r"fuzz/layers\.0_latent1\.txt has item 0",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_is_refused_whole(tmp_path: Path, fault: str) -> None:
    """The error names the file, and the lake is as it was."""
    spoil, message = BAD[fault]
    make_run(tmp_path / "in", {A: fired(1), B: fired(2)})
    spoil(tmp_path / "in")
    with pytest.raises(DataError, match=message):
        import_run(tmp_path / "in", Lake(tmp_path / "lake"), "mine")
    assert not (tmp_path / "lake").exists()


def test_a_name_stands_for_one_run(tmp_path: Path) -> None:
    """Other activations under the same name are refused."""
    lake = Lake(tmp_path / "lake")
    import_run(make_run(tmp_path / "one", {A: fired(1)}), lake, "mine")
    with pytest.raises(ConflictError, match="another name"):
        import_run(make_run(tmp_path / "two", {A: fired(2)}), lake, "mine")
    assert activations(lake, "mine", A) == fired(1)


KILLED = """
import os, signal, sys
from delphi_assets.delphi_runs.importing import import_run
from delphi_assets.lake import Lake

move = Lake._move

def fatal(lake, source, target):
    move(lake, source, target)
    if target == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

Lake._move = fatal
import_run(sys.argv[1], Lake(sys.argv[2]), "mine")
"""


@pytest.mark.parametrize(
    "target",
    [
        f"manifests/activations/run=mine/hookpoint={A}/shard-00000.json",
        f"activations/run=mine/hookpoint={B}/bucket=3/shard-00000.parquet",
    ],
    ids=["between hookpoints", "within one"],
)
def test_killed_and_resumed(tmp_path: Path, target: str) -> None:
    """An import whose process is killed continues, and ends with the tables of a calm one."""
    folder = make_run(tmp_path / "in", {A: fired(1), B: fired(2)})
    arguments = [sys.executable, "-c", KILLED, str(folder), str(tmp_path / "lake"), target]
    ended = subprocess.run(arguments, check=False, capture_output=True, env={**os.environ})
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    lake, calm = Lake(tmp_path / "lake"), Lake(tmp_path / "calm")
    assert import_run(folder, lake, "mine").new_rows == len(fired(2))
    import_run(folder, calm, "mine")
    expected, found = contents(calm, "mine"), contents(lake, "mine")
    for table in TABLES:
        assert found[table].equals(expected[table]), table


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both commands, and an error as one line with status 1."""
    folder, lake = make_run(tmp_path / "in", {A: fired()}), str(tmp_path / "lake")
    assert main(["import-delphi", str(folder), lake, "--run", "mine"]) == 0
    assert f"activations: {len(fired())}\n" in capsys.readouterr().out
    assert main(["export-delphi", lake, str(tmp_path / "out"), "--run", "mine"]) == 0
    assert (tmp_path / "out" / "scores" / "fuzz" / f"{A}_latent1.txt").is_file()
    capsys.readouterr()
    assert main(["export-delphi", lake, str(tmp_path / "out"), "--run", "mine"]) == 1
    error = capsys.readouterr().err
    last = error.strip().splitlines()[-1]
    assert last.startswith("delphi-assets: ")
    assert "is not empty" in last
    assert main(["import-delphi", str(tmp_path), lake, "--run", "b/d"]) == 1
