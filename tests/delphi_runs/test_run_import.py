"""Import of Delphi runs, on folders made by hand."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from delphi_assets.delphi_runs.run_import import import_run
from delphi_assets.errors import ConflictError, DataError
from delphi_assets.lake.database import connect
from delphi_assets.lake.lake import Lake
from delphi_assets.selection.latents import describe_latents
from delphi_assets.settings import load_profile
from tests.parts.delphi_folders import (
    CTX_LEN,
    N_CONTEXTS,
    WIDTH,
    fired,
    judged,
    make_run,
    tokens,
    write_hookpoint,
    write_split,
    write_text,
)
from tests.parts.delphi_lakes import TABLES, activations, contents
from tests.parts.tiny_parts import make_tokenizer

pytestmark = pytest.mark.slow

A, B = "layers.0", "layers.1.mlp"


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
    assert report.facts["left_out"] == (
        "log, str_tokens and activations of judged windows, distances of those not activating"
    )
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
    assert report.facts["left_out"] == "nothing"
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
    columns = "latent, explainer, explainer_model, explanation, failure"
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


def _distance(folder: Path, distance: float) -> None:
    write_text(folder / "scores" / "fuzz" / f"{A}_latent1.txt", [judged(True, True, distance)])


def _second_file(folder: Path, kind: str) -> None:
    """A "/" in a hookpoint may be "--" or a folder in the names of text files."""
    names = [f"{B}--x_latent1.txt", f"{B}/x_latent1.txt"]
    for name in names:
        write_text(folder / kind / name, "text")


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
    "infinite distance": (lambda f: _distance(f, np.inf), r"fuzz/.* has item 0.*distance = inf"),
    "no distance": (lambda f: _distance(f, np.nan), r"fuzz/.* has item 0.*distance = nan"),
    "large distance": (lambda f: _distance(f, 1 << 31), r"fuzz/.* has item 0.*2147483648"),
    "explained twice": (
        lambda f: _second_file(f, "explanations"),
        r"explanations/.*mlp--x_latent1\.txt and .*mlp/x_latent1\.txt are both about latent 1",
    ),
    "scored twice": (
        lambda f: _second_file(f, "scores/fuzz"),
        r"fuzz/.*mlp--x_latent1\.txt and .*mlp/x_latent1\.txt are both about latent 1",
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


def _scores(folder: Path) -> Path:
    return folder / "scores" / "fuzz" / f"{A}_latent1.txt"


@pytest.mark.parametrize(
    "answers",
    [
        [judged(True, True, 3), judged(False, False, -0.25), judged(False, True, -1.0)],
        [judged(True, True, 3)],
        [judged(True, False, 3), judged(False, False, -0.25)],
        [judged(True, True, 2), judged(False, False, -0.25)],
        [judged(True, True, 3, 0.5), judged(False, False, -0.25)],
        [],
    ],
    ids=["more", "fewer", "prediction", "quantile", "probability", "none"],
)
def test_other_answers_are_refused(tmp_path: Path, answers: list[dict[str, object]]) -> None:
    """Of the same explanation; nothing is written, not even an explanation that is new."""
    folder, lake = make_run(tmp_path / "in", {A: fired(), B: fired(2)}), Lake(tmp_path / "lake")
    import_run(folder, lake, "mine")
    before = contents(lake, "mine")
    write_text(_scores(folder), answers)
    write_text(folder / "explanations" / f"{A}_latent2.txt", "now there is one")
    with pytest.raises(ConflictError, match=r"fuzz/layers\.0_latent1\.txt holds other answers"):
        import_run(folder, lake, "mine")
    after = contents(lake, "mine")
    assert all(after[table].equals(before[table]) for table in TABLES)


def test_new_texts_are_added_and_counted_in_the_lake(tmp_path: Path) -> None:
    """A score file that is gone still counts; another text takes its own scores along."""
    folder, lake = make_run(tmp_path / "in", {A: fired()}), Lake(tmp_path / "lake")
    import_run(folder, lake, "mine")

    def counted() -> list[object]:
        facts = import_run(folder, lake, "mine").facts
        return [facts[name] for name in ("explanations", "failed_explanations", "predictions")]

    _scores(folder).unlink()
    assert counted() == [2, 1, 5]
    write_text(folder / "explanations" / f"{A}_latent2.txt", "now there is one")
    assert counted() == [2, 0, 5]
    write_text(folder / "explanations" / f"{A}_latent1.txt", "another one")
    assert counted() == [2, 0, 3]
    write_text(_scores(folder), [judged(True, True, 3)])
    assert counted() == [2, 0, 4]


KILLED = """
import os, signal, sys
from delphi_assets.delphi_runs.run_import import import_run
from delphi_assets.lake.lake import Lake

move = Lake.move

def fatal(lake, source, target):
    move(lake, source, target)
    if target == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

Lake.move = fatal
import_run(sys.argv[1], Lake(sys.argv[2]), "mine")
"""


def _at(hookpoint: str, latents: range) -> int:
    """Activations of `latents`."""
    return sum(latent in latents for latent, _ in fired(1 if hookpoint == A else 2))


@pytest.mark.parametrize(
    ("target", "left"),
    [
        (f"manifests/activations/run=mine/hookpoint={A}/bucket=15/all.json", _at(B, range(WIDTH))),
        # Bucket 8 of 16 begins with latent 5 of 10.
        (f"manifests/activations/run=mine/hookpoint={B}/bucket=7/all.json", _at(B, range(5, 10))),
        (f"activations/run=mine/hookpoint={B}/bucket=8/all.parquet", _at(B, range(5, 10))),
    ],
    ids=["between hookpoints", "between buckets", "within one"],
)
def test_killed_and_resumed(tmp_path: Path, target: str, left: int) -> None:
    """A killed import continues at the bucket, and ends with the tables of a calm one."""
    folder = make_run(tmp_path / "in", {A: fired(1), B: fired(2)})
    arguments = [sys.executable, "-c", KILLED, str(folder), str(tmp_path / "lake"), target]
    ended = subprocess.run(arguments, check=False, capture_output=True, env={**os.environ})
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    lake, calm = Lake(tmp_path / "lake"), Lake(tmp_path / "calm")
    assert import_run(folder, lake, "mine").new_rows == left > 0
    import_run(folder, calm, "mine")
    expected, found = contents(calm, "mine"), contents(lake, "mine")
    for table in TABLES:
        assert found[table].equals(expected[table]), table


def test_a_damaged_bucket_is_written_again(tmp_path: Path) -> None:
    """It alone; from other files neither it nor one that is missing."""
    lake, folder = Lake(tmp_path / "lake"), make_run(tmp_path / "in", {A: fired()})
    import_run(folder, lake, "mine")
    manifests = {held.keys["bucket"]: held for held in lake.manifests("activations", run="mine")}
    cut = Path(lake.root, manifests[3].files[0].path)
    cut.write_bytes(cut.read_bytes()[:-9])
    folders = Path(lake.root, "manifests", "activations", "run=mine", f"hookpoint={A}")
    for gone in (5, 6):
        (folders / f"bucket={gone}" / "all.json").unlink()
    with pytest.raises(ConflictError, match="another name"):
        import_run(make_run(tmp_path / "other", {A: fired(2)}), lake, "mine")
    expected = sum(manifests[bucket].rows for bucket in (3, 5, 6))
    assert import_run(folder, lake, "mine").new_rows == expected
    assert activations(lake, "mine", A) == fired()


def test_other_tokens_are_another_run(tmp_path: Path) -> None:
    """The corpus is compared too, before the activations."""
    lake = Lake(tmp_path / "lake")
    import_run(make_run(tmp_path / "one", {A: fired()}), lake, "mine")
    other = make_run(tmp_path / "two", {A: fired()}, edges=(0, WIDTH))
    split = other / "latents" / A / "0_9.safetensors"
    write_split(split, np.array([[0, 0, 0]], "uint16"), np.array([1], "float16"), tokens() + 1)
    with pytest.raises(ConflictError, match="other tokens"):
        import_run(other, lake, "mine")
