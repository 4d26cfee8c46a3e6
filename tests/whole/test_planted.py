"""A planted run from its contexts to its explorer: every later stage works on it as on any run."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from delphi_assets import connect
from delphi_assets.caching.planting.kinds import KINDS
from delphi_assets.caching.planting.passages import Passage
from delphi_assets.caching.planting.planted_coder import HOOKPOINT
from delphi_assets.caching.planting.planted_run import plant_activations
from delphi_assets.caching.planting.predicates import Defects, Predicates, read_predicates
from delphi_assets.command_line import main
from delphi_assets.errors import ConflictError, NotReadyError, SettingError
from delphi_assets.explorer import write_explorer
from delphi_assets.lake.lake import Lake
from delphi_assets.runs.library import run as run_step
from delphi_assets.runs.order import steps
from delphi_assets.runs.planting import PlantedRun, plant_run
from delphi_assets.settings import load_profile
from tests.parts.documents import ROOT, blocks, text_of
from tests.parts.tiny_project import make_project

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "planted.md"
RUN = "planted"
# The tiny corpus is made of the same few sentences over and over.
PREDICATES = """
[[predicate]]
name = "token"
kind = "words"
words = ["token", "tokens"]
text = 'The word "token" or "tokens".'
wrong.parent = "Nouns."
wrong.child = 'The word "tokens".'
wrong.sibling = ['The word "context".', 'The word "document".']

[[predicate]]
name = "after-a"
kind = "after"
words = ["a"]
text = 'The word directly after "a".'
sign = -1
defects.miss_rate = 0.2
defects.stronger_at = "token"
defects.strength_factor = 3

[[predicate]]
name = "number"
kind = "number"
number = "any"
text = "Numbers in digits."
defects.false_fire_rate = 0.02
defects.absorbed_by = "start"
defects.absorbed_rate = 1.0

[[predicate]]
name = "start"
kind = "start"
of = "document"
text = "The first token of a text."

[[predicate]]
name = "nothing"
kind = "random"
text = "No clear pattern."
defects.false_fire_rate = 0.05
defects.silent_rate = 0.2
"""
MASKS = {"token": 0, "after-a": 1, "number": 2, "start": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("planted"))
    (folder / "own.toml").write_text(PREDICATES, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def predicates(folder: Path) -> Predicates:
    return read_predicates(folder / "own.toml")


@pytest.fixture(scope="module")
def lake(folder: Path) -> Lake:
    """A lake with the tiny run's contexts."""
    lake, profile = Lake(folder / "lake"), load_profile(str(folder / "tiny.toml"))
    for step in steps(profile, "contexts"):
        run_step(profile, lake, step)
    return lake


@pytest.fixture(scope="module")
def made(folder: Path, lake: Lake, predicates: Predicates) -> PlantedRun:
    return plant_run(load_profile(str(folder / "tiny.toml")), lake, RUN, predicates)


@pytest.fixture(scope="module")
def con(lake: Lake, made: PlantedRun) -> Iterator[duckdb.DuckDBPyConnection]:
    """Views of the lake once the planted run is explained and scored, by the profile it has."""
    profile = load_profile(made.profile_file)
    for step in steps(profile):
        run_step(profile, lake, step)
    with connect(lake) as con:
        yield con


def test_contexts_and_vocabulary_are_those_of_the_other_run(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    for table in ("contexts", "vocabulary"):
        both = [
            con.execute(f"select * exclude run from {table} where run = $run order by all",
                        {"run": run}).fetchall()
            for run in ("tiny", RUN)
        ]  # fmt: skip
        assert both[0] == both[1] != []
        assert {one.facts["planted_from"] for one in lake.manifests(table, run=RUN)} == {"tiny"}


def test_latents_fire_where_their_predicates_hold(
    con: duckdb.DuckDBPyConnection, predicates: Predicates
) -> None:
    """Counted again from the text alone, for words that no context cuts."""
    counts = con.execute(
        "select name, n_true, n_missed, n_false, n_activations from planted "
        "inner join latents using (run, hookpoint, latent) where relation = 'true' order by latent"
    ).fetchall()
    assert [row[0] for row in counts] == [one.name for one in predicates.all]
    for _, n_true, n_missed, n_false, n_activations in counts:
        assert n_true - n_missed + n_false == n_activations > 0
    by_name = {row[0]: row[1:] for row in counts}
    assert by_name["token"][1:3] == (0, 0)
    assert by_name["after-a"][1] > 0
    assert by_name["number"][2] > 0
    assert by_name["nothing"][0] == 0
    texts = con.execute(
        "select text from (select context, string_agg(text, '' order by \"offset\") as text "
        "from positions where run = $run group by context)",
        {"run": RUN},
    ).fetchall()
    said = sum(text.count("token") for (text,) in texts)
    assert 0.9 * said < by_name["token"][0] <= said


def test_signs_and_strengths_are_in_the_activations(con: duckdb.DuckDBPyConnection) -> None:
    extremes = con.execute(
        "select latent, min_activation, max_activation from latents where run = $run "
        "order by latent",
        {"run": RUN},
    ).fetchall()
    for latent, least, most in extremes:
        assert (most < 0) if latent == MASKS["after-a"] else (least > 0)
    found = con.execute(
        "select avg(abs(own.activation)) filter (others.position is not null), "
        "avg(abs(own.activation)) filter (others.position is null) from activations as own "
        "left join activations as others on others.run = own.run "
        "and others.position = own.position and others.latent = 0 "
        "where own.run = $run and own.latent = 1",
        {"run": RUN},
    ).fetchone()
    assert found is not None
    assert found[0] > 2 * found[1] > 0


def test_every_relation_is_a_row(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute(
        "select relation, number, text from planted where latent = 0 order by all"
    ).fetchall()
    (other,) = [text for relation, _, text in rows if relation == "other"]
    assert rows == [
        ("child", 1, 'The word "tokens".'),
        ("empty", 1, ""),
        ("other", 1, other),
        ("parent", 1, "Nouns."),
        ("sibling", 1, 'The word "context".'),
        ("sibling", 2, 'The word "document".'),
        ("true", 1, 'The word "token" or "tokens".'),
    ]
    truths = con.execute("select text from planted where relation = 'true'").fetchall()
    assert (other,) in truths
    assert other not in ("No clear pattern.", 'The word "token" or "tokens".')


def test_planted_joins_scores(con: duckdb.DuckDBPyConnection) -> None:
    """The lexical explainer and judge on latents that are known, and on one without a pattern."""
    scores = dict(
        con.execute(
            "select name, max(score) from planted "
            "inner join scored_latents using (run, hookpoint, latent) "
            "where relation = 'true' and scorer = 'detection' group by name order by name"
        ).fetchall()
    )
    assert {"token", "after-a"} <= scores.keys()
    assert scores["token"] > 0.8
    assert scores["token"] > scores.get("nothing", 0.5)


def test_the_explorer_shows_it(con: duckdb.DuckDBPyConnection, lake: Lake, tmp_path: Path) -> None:
    write_explorer(lake, tmp_path / "site", RUN, HOOKPOINT)
    assert (tmp_path / "site" / "index.html").exists()
    assert any("token" in path.read_text(encoding="utf-8", errors="replace")
               for path in (tmp_path / "site").rglob("*.js*"))  # fmt: skip


def test_planting_again_adds_nothing_and_gives_the_same_bytes(
    folder: Path, lake: Lake, made: PlantedRun, predicates: Predicates
) -> None:
    profile = load_profile(str(folder / "tiny.toml"))
    again = plant_run(profile, lake, RUN, predicates)
    assert again.planted.new_rows == 0
    assert not any(outcome.new_rows for outcome in again.outcomes.values())
    other = Lake(folder / "other")
    for step in steps(profile, "contexts"):
        run_step(profile, other, step)
    plant_run(profile, other, RUN, predicates)
    for table in ("activations", "planted"):
        held = [
            {file.path: file.sha256 for one in at.manifests(table, run=RUN) for file in one.files}
            for at in (lake, other)
        ]
        assert held[0] == held[1] != {}
    # Of examples the rows: how their texts are encoded depends on threads.
    asked = "select * from examples where run = 'planted' order by latent, example"
    with connect(lake) as here, connect(other) as there:
        assert here.execute(asked).fetchall() == there.execute(asked).fetchall() != []


def test_what_is_half_done_is_finished(
    folder: Path, lake: Lake, made: PlantedRun, predicates: Predicates
) -> None:
    """A file of the corpus and one of the table planted are gone: both are written again."""
    paths = [
        Path(lake.location(lake.manifests(table, run=RUN)[0].files[0].path))
        for table in ("planted", "contexts")
    ]
    before = [pq.read_table(path) for path in paths]
    for path in paths:
        path.unlink()
    plant_run(load_profile(str(folder / "tiny.toml")), lake, RUN, predicates)
    after = [
        pq.read_table(lake.location(lake.manifests(table, run=RUN)[0].files[0].path))
        for table in ("planted", "contexts")
    ]
    assert before == after


def test_shards_that_are_there_are_not_made_again(folder: Path, predicates: Predicates) -> None:
    """Stopped between two shards, it goes on with the second one, and gives the same rows."""
    profile, stopped = load_profile(str(folder / "tiny.toml")), Lake(folder / "stopped")
    for step in steps(profile, "contexts"):
        run_step(profile, stopped, step)
    plant_activations(profile, stopped, RUN, predicates)
    first, second = stopped.manifests("captured", run=RUN)
    Path(stopped.location(second.files[0].path)).unlink()
    report = plant_activations(profile, stopped, RUN, predicates)
    assert (report.rows, report.new_rows) == (first.rows + second.rows, second.rows)
    again = stopped.manifests("captured", run=RUN)
    assert [one.files[0].sha256 for one in again] == [
        one.files[0].sha256 for one in (first, second)
    ]


def test_a_shard_says_what_one_says_that_a_model_read(lake: Lake, made: PlantedRun) -> None:
    """So that Dagster shows it as any other."""
    for shard in lake.manifests("captured", run=RUN):
        assert shard.facts["tokens_per_second"] > 0
        fired = shard.rows / shard.facts["tokens"]
        assert shard.facts["activations_per_token"] == pytest.approx(fired, abs=1e-3)


def test_what_cannot_be_planted_is_refused(
    folder: Path, lake: Lake, made: PlantedRun, predicates: Predicates
) -> None:
    profile = load_profile(str(folder / "tiny.toml"))
    with pytest.raises(SettingError, match="--run 'tiny' is the run of the profile"):
        plant_run(profile, lake, "tiny", predicates)
    with pytest.raises(NotReadyError, match="materialize the asset 'contexts' first"):
        plant_run(profile, Lake(folder / "empty"), RUN, predicates)
    text = PREDICATES.replace("miss_rate = 0.2", "miss_rate = 0.3")
    (folder / "changed.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConflictError, match=r"coder.sparse_model.*planted:"):
        plant_run(profile, lake, RUN, read_predicates(folder / "changed.toml"))


def test_the_page_answers(con: duckdb.DuckDBPyConnection) -> None:
    found = blocks(PAGE, "sql")
    assert len(found) >= 3
    for block in found:
        assert con.sql(block.rstrip().rstrip(";")).fetchall(), block


def test_predicates_of_the_page_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (function,) = blocks(PAGE, "python")
    (tmp_path / "my_predicates.py").write_text(function, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found = blocks(PAGE, "toml")
    assert len(found) >= 2
    for block in found:
        (tmp_path / "page.toml").write_text(block, encoding="utf-8")
        masks = read_predicates(tmp_path / "page.toml").masks(Passage(["on", " Monday", "."]))
        assert masks


def test_the_page_names_every_kind_and_defect() -> None:
    for name in (*KINDS, *Defects.model_fields):
        assert f"`{name}`" in text_of(PAGE), name


def test_the_command_says_what_it_made(
    folder: Path,
    lake: Lake,
    made: PlantedRun,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DELPHI_ASSETS_LAKE", str(folder / "lake"))
    own = ["--run", RUN, "--predicates", str(folder / "own.toml")]
    assert main(["plant", str(folder / "tiny.toml"), *own]) == 0
    said = capsys.readouterr().out
    assert "latents: 5\n" in said
    assert f"profile: {made.profile_file}\n" in said
    missing = ["--predicates", str(folder / "none.toml")]
    assert main(["plant", str(folder / "tiny.toml"), *missing]) == 1
    assert "none.toml cannot be read" in capsys.readouterr().err
