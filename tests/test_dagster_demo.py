"""The demo as a user runs it, at a tiny scale, and the two jobs as one launch each."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from delphi_assets.database import connect
from tests.tiny_project import HOOKPOINT, contents, environment, make_project, run_demo

SECOND = "layers.1"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project of two hookpoints with a finished lake."""
    folder = make_project(tmp_path_factory.mktemp("demo"), (HOOKPOINT, SECOND))
    ended = run_demo(folder)
    assert ended.returncode == 0, ended.stderr
    (folder / "printed.txt").write_text(ended.stdout, encoding="utf-8")
    return folder


def files(folder: Path) -> list[Path]:
    """Files of the lake."""
    return sorted(path for path in (folder / "lake").rglob("*") if path.is_file())


def launch(project: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`dg launch`, as on the command line."""
    dg = Path(sys.executable).with_name("dg")
    root = Path(__file__).parent.parent
    return subprocess.run(
        [str(dg), "launch", "--target-path", str(root), *arguments],
        cwd=root,
        env={**environment(project, name), "VIRTUAL_ENV": str(dg.parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def config(asset: str, **settings: object) -> str:
    """Run config of one asset."""
    return json.dumps({"ops": {asset: {"config": settings}}})


def test_every_stage_has_rows(project: Path) -> None:
    """From text to scores, at both hookpoints."""
    tables = contents(project)
    empty = {name for name, rows in tables.items() if not rows.num_rows}
    # The demo asks no LLM, and draws no windows by what they mean.
    assert empty <= {"completions", "embeddings", "shortfalls"}
    with connect(project / "lake") as con:
        scored = con.sql(
            "select hookpoint, control, count(distinct latent) from scores "
            "group by all order by all"
        ).fetchall()
    assert scored == [
        (hookpoint, control, 48)
        for hookpoint in (HOOKPOINT, SECOND)
        for control in ("none", "shuffled")
    ]


def test_the_summary_tells_of_every_hookpoint(project: Path) -> None:
    """Stages with their wall time, the coder, scores, best and worst."""
    printed = (project / "printed.txt").read_text(encoding="utf-8")
    for expected in (
        "captured 00000...00001",
        f"=== {HOOKPOINT} ===",
        f"=== {SECOND} ===",
        "fvu",
        "<= 2 tokens",
        "best explained by detection",
        "worst explained by detection",
        "make ui",
    ):
        assert expected in printed
    assert "checks passed" in printed
    assert "Traceback" not in printed


def test_a_second_run_adds_nothing(project: Path) -> None:
    """No file is written or touched, no row added, and the demo says so."""
    before = [(path, path.stat().st_mtime_ns) for path in files(project)]
    ended = run_demo(project)
    assert ended.returncode == 0, ended.stderr
    assert "0 new rows" in ended.stdout
    assert [(path, path.stat().st_mtime_ns) for path in files(project)] == before


def test_a_changed_setting_is_refused_in_plain_words(project: Path) -> None:
    """The first stage names the setting; no trace, a failing exit status."""
    profile = project / "tiny.toml"
    original = profile.read_text(encoding="utf-8")
    try:
        profile.write_text(original.replace("k = 4", "k = 5"), encoding="utf-8")
        ended = run_demo(project)
    finally:
        profile.write_text(original, encoding="utf-8")
    assert ended.returncode == 1
    assert "contexts failed" in ended.stderr
    assert "k = 4" in ended.stderr
    assert "k = 5" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_explain_then_score_are_one_launch_each(project: Path) -> None:
    """Latents 0-4 are explained; later 0-2 are scored from the stored explanations."""
    shutil.copytree(project / "lake", project / "jobs")
    for table in ("explanations", "predictions"):
        shutil.rmtree(project / "jobs" / table)
    explain = ("--job", "explain", "--partition", HOOKPOINT, "--config-json")
    score = ("--job", "score", "--partition", HOOKPOINT, "--config-json")
    ended = launch(project, "jobs", *explain, config("explanations", latents="0-4"))
    assert ended.returncode == 0, ended.stderr
    settings = {"latents": "0-2", "scorers": ["detection"], "controls": []}
    ended = launch(project, "jobs", *score, config("predictions", **settings))
    assert ended.returncode == 0, ended.stderr
    with connect(project / "jobs") as con:
        explained = con.sql("select hookpoint, latent from explanations order by latent").fetchall()
        scored = con.sql(
            "select hookpoint, latent, scorer, control, n_examples from scores order by latent"
        ).fetchall()
    assert explained == [(HOOKPOINT, latent) for latent in range(5)]
    assert scored == [(HOOKPOINT, latent, "detection", "none", 8) for latent in range(3)]


@pytest.mark.parametrize(
    ("job", "asset", "settings", "message"),
    [
        ("explain", "explanations", {"latents": "4-0"}, "ends before it starts"),
        ("score", "predictions", {"scorers": ["fuzzy"]}, "fuzzy"),
        ("explain", "explanations", {"explainer": "default"}, "a LiteLLM model string"),
    ],
)
def test_an_impossible_launch_fails_before_it_computes(
    project: Path, job: str, asset: str, settings: dict[str, object], message: str
) -> None:
    """A setting that cannot be used fails the run with its name, and writes nothing."""
    before = files(project)
    arguments = ("--job", job, "--partition", HOOKPOINT, "--config-json")
    ended = launch(project, "lake", *arguments, config(asset, **settings))
    assert ended.returncode != 0
    assert message in ended.stdout + ended.stderr
    assert files(project) == before


def test_the_instance_keeps_what_the_ui_shows(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row counts per partition, plots as pictures, check results: in the instance of `make ui`."""
    import dagster as dg

    monkeypatch.setenv("DAGSTER_HOME", str(project / "dagster-lake"))
    with dg.DagsterInstance.get() as instance:

        def metadata(asset: str, partition: str) -> dict[str, object]:
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[partition]), limit=1
            ).records
            found = records[0].asset_materialization
            assert found is not None
            return {name: value.value for name, value in found.metadata.items()}

        shards = [metadata("captured", shard) for shard in ("00000", "00001")]
        pictures = (
            str(metadata("latents", HOOKPOINT)["firing_densities"]),
            str(metadata("scores", HOOKPOINT)["balanced_accuracy"]),
        )
        merged = [metadata("activations", hookpoint) for hookpoint in (HOOKPOINT, SECOND)]
    with connect(project / "lake") as con:
        count = con.table("activations").to_arrow_table().num_rows
    for parts in (shards, merged):
        assert sum(int(str(part["dagster/partition_row_count"])) for part in parts) == count
    for picture in pictures:
        assert picture.startswith("![")
        assert len(picture) < 60_000
