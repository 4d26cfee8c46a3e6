"""The demo as a user runs it, at a tiny scale, and the usual wishes as one launch each."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from delphi_assets.lake.database import connect
from tests.parts.tiny_project import HOOKPOINT, RUN, contents, environment, make_project, run_demo

pytestmark = pytest.mark.slow

SECOND = "layers.1"
LAUNCHES = """
import json, sys
import dagster as dg
from dagster_project.definitions import defs
told = []
with dg.DagsterInstance.get() as instance:
    for name, partition, config in json.loads(sys.argv[1]):
        asset = name.removeprefix("asset:")
        job = defs.resolve_implicit_global_asset_job_def() if asset != name else (
            defs.resolve_job_def(name))
        result = job.execute_in_process(
            instance=instance,
            partition_key=partition,
            # What the Launchpad shows once a partition is chosen.
            run_config=config or (
                job.get_run_config_for_partition_key(partition)
                if hasattr(job, "get_run_config_for_partition_key") else None),
            asset_selection=[dg.AssetKey(asset)] if asset != name else None,
            raise_on_error=False,
        )
        made = [event.step_materialization_data.materialization if event.is_step_event else None
                for event in result.all_events
                if event.event_type_value == "ASSET_MATERIALIZATION"]
        told.append({
            "success": result.success,
            "made": [[one.asset_key.to_user_string(), one.partition] for one in made],
            "checks": [check.passed for check in result.get_asset_check_evaluations()],
        })
print("TOLD " + json.dumps(told))
"""


class Told(NamedTuple):
    """What a launch said: partitions that it materialized by asset, and whether checks passed."""

    success: bool
    made: list[tuple[str, str | None]]
    checks: list[bool]


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
    root = Path(__file__).parents[2]
    return subprocess.run(
        [str(dg), "launch", "--target-path", str(root), *arguments],
        cwd=root,
        env={**environment(project, name), "VIRTUAL_ENV": str(dg.parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def launches(
    project: Path, name: str, *wanted: tuple[str, str | None, Any], **more: str
) -> list[Told]:
    """Launch jobs, or `asset:<name>`, one after the other in one process; no config: the job's."""
    given = {**environment(project, name), **more}
    Path(given["DAGSTER_HOME"]).mkdir(exist_ok=True)
    ended = subprocess.run(
        [sys.executable, "-c", LAUNCHES, json.dumps(wanted)],
        cwd=project,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in ended.stdout.splitlines() if line.startswith("TOLD ")]
    assert lines, ended.stderr[-3000:]
    return [
        Told(one["success"], [(asset, key) for asset, key in one["made"]], one["checks"])
        for one in json.loads(lines[0].removeprefix("TOLD "))
    ]


def latents(lake: Path, table: str) -> list[int]:
    """Latents with rows in a table at the first hookpoint."""
    with connect(lake) as con:
        rows = con.table(table).to_arrow_table().to_pylist()
    return sorted({row["latent"] for row in rows if row["hookpoint"] == HOOKPOINT})


def at(tables: dict[str, pa.Table], hookpoint: str) -> dict[str, list[dict[str, object]]]:
    """The rows of one hookpoint up to examples."""
    names = ("weights", "activations", "neighbours", "latents", "examples")
    return {
        name: [row for row in tables[name].to_pylist() if row["hookpoint"] == hookpoint]
        for name in names
    }


def config(asset: str, **settings: object) -> str:
    """Run config of one asset."""
    return json.dumps({"ops": {asset: {"config": settings}}})


def test_every_stage_has_rows(project: Path) -> None:
    """From text to scores, at both hookpoints."""
    tables = contents(project)
    empty = {name for name, rows in tables.items() if not rows.num_rows}
    # The demo asks no LLM, draws no windows by what they mean, nobody has added labels, and its
    # latents are a coder's.
    assert empty <= {"completions", "embeddings", "judges", "labels", "planted", "shortfalls"}
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
        f"captured {HOOKPOINT}|00000...{SECOND}|00001",
        f"=== {HOOKPOINT} ===",
        f"=== {SECOND} ===",
        "fvu",
        "<= 2 tokens",
        "best explained by detection",
        "worst explained by detection",
        "dagster dev -m dagster_project.definitions",
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


def test_a_coder_replaced_under_a_finished_run_is_refused_in_plain_words(project: Path) -> None:
    """Nothing is left to do, and the first stage that knows the coder says what it is not."""
    weights = project / "lake" / "coders" / f"run={RUN}" / HOOKPOINT / "sae.safetensors"
    original = weights.read_bytes()
    try:
        weights.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        ended = run_demo(project)
    finally:
        weights.write_bytes(original)
    assert ended.returncode == 1
    assert f"sparse_coder {HOOKPOINT} failed: " in ended.stderr
    assert f"the coder of hookpoint {HOOKPOINT!r} (coder.sparse_model" in ended.stderr
    assert "its files were replaced" in ended.stderr
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


def test_another_hookpoint_is_one_launch(project: Path) -> None:
    """The profile's list grows: the same rows come out as if it had been that long from the start,
    and no file of the first hookpoint is touched. A shard captured before is not captured again."""
    text = (project / "tiny.toml").read_text(encoding="utf-8")
    both = json.dumps([HOOKPOINT, SECOND])
    assert both in text
    one = project / "one.toml"
    one.write_text(text.replace(both, json.dumps([HOOKPOINT])), encoding="utf-8")
    (first,) = launches(
        project,
        "grown",
        ("cache_hookpoint", HOOKPOINT, None),
        DELPHI_ASSETS_PROFILE=str(one),
    )
    assert first.success
    before = {path: path.stat().st_mtime_ns for path in (project / "grown").rglob("*.parquet")}
    coder, shard, job = launches(
        project,
        "grown",
        ("asset:sparse_coder", SECOND, None),
        ("asset:captured", f"{SECOND}|00000", None),
        ("cache_hookpoint", SECOND, None),
    )
    assert coder.success
    assert shard.made == [("captured", f"{SECOND}|00000")]
    assert job.success
    assert job.checks
    assert all(job.checks)
    captured = {key for asset, key in job.made if asset == "captured"}
    assert captured == {f"{SECOND}|00000", f"{SECOND}|00001"}
    assert {asset for asset, key in job.made if key == SECOND} == {
        "sparse_coder",
        "activations",
        "neighbours",
        "latents",
        "examples",
    }
    assert {path: path.stat().st_mtime_ns for path in before} == before
    made, expected = contents(project, "grown"), contents(project)
    for hookpoint in (HOOKPOINT, SECOND):
        assert all(at(made, hookpoint).values())
        assert at(made, hookpoint) == at(expected, hookpoint)


def test_several_hookpoints_are_captured_in_one_run(project: Path) -> None:
    """Each of its partitions is materialized; what was there is not captured again, and merging
    finds all of it."""

    def capture(**settings: object) -> tuple[str, None, object]:
        return "capture", None, json.loads(config("capture_together", **settings))

    *before, some, every, one, two = launches(
        project,
        "together",
        ("asset:contexts", None, None),
        ("asset:sparse_coder", HOOKPOINT, None),
        ("asset:sparse_coder", SECOND, None),
        capture(hookpoints=[SECOND, HOOKPOINT], last_shard=0),
        capture(),
        ("asset:activations", HOOKPOINT, None),
        ("asset:activations", SECOND, None),
    )
    assert all(launch.success for launch in (*before, some, every, one, two))
    both = [(hookpoint, f"{shard:05d}") for hookpoint in (HOOKPOINT, SECOND) for shard in (0, 1)]
    assert some.made == [("captured", f"{at}|{shard}") for at, shard in both if shard == "00000"]
    assert every.made == [("captured", f"{at}|{shard}") for at, shard in both]
    made, expected = contents(project, "together"), contents(project)
    assert made["activations"].equals(expected["activations"])


def test_the_next_latents_and_the_failed_ones_are_one_launch(project: Path) -> None:
    """Explained, then scored, in order of number; without failures there is nothing to retry; and
    what the jobs ask for as they stand finds the rest."""
    shutil.copytree(project / "lake", project / "next")
    for table in ("explanations", "predictions"):
        shutil.rmtree(project / "next" / table)
    five = json.loads(config("explanations", latents="next 5"))
    three = json.loads(config("predictions", latents="next 3", scorers=["detection"], controls=[]))
    told = launches(
        project,
        "next",
        ("explain_next", HOOKPOINT, five),
        ("explain_next", HOOKPOINT, five),
        ("score", HOOKPOINT, three),
        ("retry_failures", HOOKPOINT, None),
    )
    assert all(one.success for one in told)
    assert latents(project / "next", "explanations") == list(range(10))
    assert latents(project / "next", "predictions") == list(range(3))
    told = launches(
        project, "next", ("explain_next", HOOKPOINT, None), ("rescore", HOOKPOINT, None)
    )
    assert all(one.success for one in told)
    assert latents(project / "next", "explanations") == list(range(48))
    assert latents(project / "next", "predictions") == list(range(48))


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

        shards = [
            metadata("captured", f"{hookpoint}|{shard}")
            for hookpoint in (HOOKPOINT, SECOND)
            for shard in ("00000", "00001")
        ]
        scores = metadata("scores", HOOKPOINT)
        pictures = (
            str(metadata("latents", HOOKPOINT)["firing_densities"]),
            str(metadata("captured", f"{HOOKPOINT}|00000")["speed"]),
            *(
                str(scores[name])
                for name in ("score_distributions", "calibration", "f1_against_density")
            ),
        )
        previews = [
            str(metadata(asset, HOOKPOINT)["preview"])
            for asset in ("latents", "examples", "explanations")
        ]
        merged = [metadata("activations", hookpoint) for hookpoint in (HOOKPOINT, SECOND)]
    with connect(project / "lake") as con:
        count = con.table("activations").to_arrow_table().num_rows
    for parts in (shards, merged):
        assert sum(int(str(part["dagster/partition_row_count"])) for part in parts) == count
    for picture in pictures:
        assert picture.startswith("![")
        assert len(picture) < 80_000
    assert all("latent " in preview for preview in previews)
    assert {shard["tokens_per_second_of_shard"] is not None for shard in shards} == {True}
    assert "detection own, by lexical" in scores
