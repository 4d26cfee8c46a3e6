"""Runs of Delphi that come in, go on here and go out again."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.command_line import main
from delphi_assets.delphi_runs.run_export import Chosen, export_run
from delphi_assets.delphi_runs.run_import import import_run
from delphi_assets.errors import SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import EXPLANATIONS
from delphi_assets.latent_ranges import Latents
from delphi_assets.scorers.predictions import score
from delphi_assets.selection.examples import select_examples
from delphi_assets.selection.latents import describe_latents
from delphi_assets.settings import load_profile
from tests.parts.delphi_folders import WIDTH, fired, make_run, write_text
from tests.parts.delphi_lakes import TABLES, contents

pytestmark = pytest.mark.slow

A, B = "layers.0", "layers.1.mlp"
ALL = Latents(())


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
    assert merge_shards(profile, lake, A).new_rows == 0
    assert describe_latents(profile, lake, A).rows == WIDTH
    assert select_examples(profile, lake, A, profile.selection).rows > 0
    assert explain(profile, lake, A, ALL, profile.explain, "default").new_rows > 0
    assert score(profile, lake, A, ALL, profile.score, "default").new_rows > 0
    export_run(lake, "mine", tmp_path / "out", Chosen(explainer="lexical"))
    with connect(lake) as con:
        orphans = query(con, "checks/orphan_predictions", run="mine", hookpoint=A, n_rows=20)
    assert orphans.num_rows == 0
    files = sorted((tmp_path / "out" / "scores" / "fuzz").iterdir())
    items = json.loads(files[0].read_text())
    window = profile.selection.example_ctx_len
    assert {(len(item["str_tokens"]), len(item["activations"])) for item in items} == {
        (window, window)
    }
    with pytest.raises(SettingError, match=r"--explainer"):
        export_run(lake, "mine", tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_imported_answers_get_no_other_windows(tmp_path: Path) -> None:
    """A selection of one's own may be called delphi; its windows are not those Delphi judged."""
    lake = Lake(tmp_path / "lake")
    positive = {place: abs(value) for place, value in fired().items()}
    report = import_run(make_run(tmp_path / "in", {A: positive}), lake, "mine")
    profile = load_profile(str(report.facts["profile"]))
    describe_latents(profile, lake, A)
    selection = profile.selection.model_copy(update={"name": "delphi"})
    assert select_examples(profile, lake, A, selection).rows > 0
    export_run(lake, "mine", tmp_path / "out")
    items = json.loads((tmp_path / "out" / "scores" / "fuzz" / f"{A}_latent1.txt").read_text())
    assert [item["str_tokens"] for item in items] == [[], []]


def _texts(folder: Path) -> dict[str, object]:
    """Explanations and scores, by file, without what an import leaves out."""
    found = {}
    for kind in ("explanations", "scores"):
        for path in (folder / kind).rglob("*.txt"):
            value = json.loads(path.read_text())
            for item in value if isinstance(value, list) else []:
                del item["str_tokens"], item["activations"]
                if not item["activating"]:
                    del item["distance"]
            found[path.relative_to(folder).as_posix()] = value
    return found


def test_round_trip(tmp_path: Path) -> None:
    """Imported, exported, imported: the same tables, and the same texts between."""
    make_run(tmp_path / "in", {A: fired(1), B: fired(2)})
    lake = Lake(tmp_path / "lake")
    import_run(tmp_path / "in", lake, "first")
    export_run(lake, "first", tmp_path / "out")
    assert _texts(tmp_path / "out") == _texts(tmp_path / "in")
    assert len(_texts(tmp_path / "in")) == 4
    # The coder, the LLM and the seed are in run_config.json, which the export does not write.
    (tmp_path / "out" / "run_config.json").write_text(
        (tmp_path / "in" / "run_config.json").read_text()
    )
    import_run(tmp_path / "out", lake, "second")
    first, second = contents(lake, "first"), contents(lake, "second")
    for table in TABLES:
        assert first[table].num_rows > 0, table
        assert first[table].equals(second[table]), table


def test_the_last_text_is_exported(tmp_path: Path) -> None:
    """Of texts that differ in nothing to choose by; one that comes back is the last again."""
    folder, lake = make_run(tmp_path / "in", {A: fired()}), Lake(tmp_path / "lake")
    file = folder / "explanations" / f"{A}_latent1.txt"
    first = json.loads(file.read_text())
    for number, text in enumerate([first, "another one", "a third", first]):
        write_text(file, text)
        import_run(folder, lake, "mine")
        out = tmp_path / f"out-{number}"
        export_run(lake, "mine", out)
        assert _texts(out) == _texts(folder)


def test_the_last_way_to_ask_is_exported(tmp_path: Path) -> None:
    """One judge asked in two ways, one explainer in two: other hashes and ids, no choice."""
    positive = {place: abs(value) for place, value in fired().items()}
    lake, chosen = Lake(tmp_path / "lake"), Chosen(explainer="lexical")
    report = import_run(make_run(tmp_path / "in", {A: positive}), lake, "mine")
    profile = load_profile(str(report.facts["profile"]))
    describe_latents(profile, lake, A)
    select_examples(profile, lake, A, profile.selection)
    explain(profile, lake, A, ALL, profile.explain, "default")
    counts = set()
    for threshold in (0.9, 0.3):
        asking = profile.explain.model_copy(update={"threshold": threshold})
        asked = profile.model_copy(update={"explain": asking})
        assert score(asked, lake, A, ALL, profile.score, "default", "lexical").new_rows > 0
        out = tmp_path / f"out-{threshold}"
        counts.add(export_run(lake, "mine", out, chosen).facts["predictions"])
        with connect(lake) as con:
            rows = con.sql(
                "select probability from predictions where scorer = 'fuzz' and judge_hash = "
                f"'lexical threshold {threshold}' order by latent, example, variant"
            ).fetchall()
        files = sorted((out / "scores" / "fuzz").iterdir(), key=latent_of)
        items = [item for file in files for item in json.loads(file.read_text())]
        assert [item["probability"] for item in items] == [value for (value,) in rows] != []
    assert len(counts) == 1
    with connect(lake) as con:
        rows = con.sql("from explanations where explainer = 'lexical' limit 1").to_arrow_table()
    later = {"explanation_id": "other", "explanation": "new", "written_at": datetime.now(UTC)}
    row = {**rows.drop_columns(["run", "hookpoint"]).to_pylist()[0], **later}
    lake.append(EXPLANATIONS, {"run": "mine", "hookpoint": A}, EXPLANATIONS.from_rows([row]))
    export_run(lake, "mine", tmp_path / "out", chosen)
    file = tmp_path / "out" / "explanations" / f"{A}_latent{row['latent']}.txt"
    assert json.loads(file.read_text()) == "new"


def latent_of(file: Path) -> int:
    """The latent that a text file is about."""
    return int(file.stem.rpartition("latent")[2])


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
    assert (
        main(["export-delphi", lake, f"{lake}/manifests/runs/mine.json/out", "--run", "mine"]) == 1
    )
    assert "mine.json/out cannot be written" in capsys.readouterr().err
    assert main(["import-delphi", str(tmp_path), lake, "--run", "b/d"]) == 1
