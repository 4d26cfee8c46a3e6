"""`delphi-assets run`: by the library and by Dagster, whole, in part, and refused."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from delphi_assets.command_line import main
from delphi_assets.ground.registries import RUNNERS
from delphi_assets.lake.database import connect
from delphi_assets.lake.schema import TABLES
from delphi_assets.runs.order import STAGES
from tests.parts.tiny_project import (
    HOOKPOINT,
    ROOT,
    contents,
    environment,
    make_project,
)

pytestmark = pytest.mark.slow

START = "import sys\nfrom delphi_assets.command_line import main\nsys.exit(main())"
WITHOUT_DAGSTER = f"import sys\nsys.modules['dagster'] = None\n{START}"
BEFORE_EXAMPLES = {"contexts", "vocabulary", "weights", "activations", "neighbours", "latents"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project, and the entry point of this source, installed or not."""
    folder = make_project(tmp_path_factory.mktemp("run"))
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = [f"{name} = {place}" for name, place in told["entry-points"][RUNNERS.group].items()]
    info = folder / "installed" / "of_this_source-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: of-this-source\nVersion: 0\n")
    (info / "entry_points.txt").write_text("\n".join([f"[{RUNNERS.group}]", *points]))
    return folder


def run(
    project: Path, lake: str, *arguments: str, start: str = START
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    given = environment(project, lake)
    given["PYTHONPATH"] = f"{project / 'installed'}:{given['PYTHONPATH']}"
    return subprocess.run(
        [sys.executable, "-c", start, "run", *arguments],
        cwd=project,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )


def with_rows(lake: Path) -> set[str]:
    """Tables with rows."""
    with connect(lake) as con:
        return {name for name in TABLES if con.execute(f"select 1 from {name} limit 1").fetchall()}


def test_library_and_dagster_give_the_same_rows(project: Path) -> None:
    """And `--until` stops behind its stage; a later run goes on from there."""
    part = run(project, "lake", "--until", "latents", start=WITHOUT_DAGSTER)
    assert part.returncode == 0, part.stderr
    assert with_rows(project / "lake") == BEFORE_EXAMPLES
    assert "examples" not in part.stdout
    whole = run(project, "lake", str(project / "tiny.toml"), start=WITHOUT_DAGSTER)
    assert whole.returncode == 0, whole.stderr
    assert "no history beside the lake" in whole.stdout
    assert "contexts ...\n  64 rows, nothing new" in whole.stdout
    for stage in STAGES:
        assert f"\n{stage}" in whole.stdout
    assert f"=== {HOOKPOINT} ===" in whole.stdout
    assert not (project / "dagster-lake").exists()
    other = run(project, "other")
    assert other.returncode == 0, other.stderr
    assert f"Dagster home {project / 'dagster-other'}" in other.stdout
    assert "checks passed" in other.stdout
    assert "leaked" not in other.stderr
    assert contents(project, "lake") == contents(project, "other")


@pytest.mark.parametrize("start", [START, WITHOUT_DAGSTER])
def test_what_a_selection_drew_on_is_written_again_when_asked(project: Path, start: str) -> None:
    """Other neighbours: refused with what to do, written with it, and then nothing is new."""
    text = (project / "tiny.toml").read_text(encoding="utf-8")
    drawing = "[selection]\nnon_activating_source = { random = 0.5, co-occurrence = 0.5 }\n"
    text = text.replace("[selection]\n", drawing)
    profile, lake = project / "drawing.toml", f"rebuilt-{start == START}"
    profile.write_text(text, encoding="utf-8")
    asked = (str(profile), "--until", "examples")
    assert run(project, lake, *asked, start=start).returncode == 0
    profile.write_text(f"{text}\n[neighbours]\nn_neighbours = 3\n", encoding="utf-8")
    refused = run(project, lake, *asked, start=start)
    assert refused.returncode == 1
    assert "rebuild = true" in refused.stderr
    insisted = run(project, lake, *asked, "--rebuild", "neighbours", start=start)
    assert insisted.returncode == 0, insisted.stderr
    with connect(project / lake) as con:
        assert con.sql("select max(rank) from neighbours").fetchall() == [(3,)]
    again = run(project, lake, *asked, "--rebuild", "neighbours", start=start)
    assert "0 new rows" in again.stdout


def test_a_failing_stage_is_a_line_by_the_library_too(project: Path) -> None:
    text = (project / "tiny.toml").read_text(encoding="utf-8")
    profile = project / "no-corpus.toml"
    corpus = str(project / "corpus")
    profile.write_text(text.replace(corpus, f"{corpus}-that-is-not-there"), encoding="utf-8")
    ended = run(project, "failing", str(profile), start=WITHOUT_DAGSTER)
    assert ended.returncode == 1
    line = ended.stderr.splitlines()[-1]
    assert line.startswith("delphi-assets: contexts failed: corpus.dataset_repo")
    assert line.endswith("What was finished is kept: run it again to continue.")
    assert "Traceback" not in ended.stderr


def test_a_runner_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "demo", "--runner", "nobody"]) == 1
    told = capsys.readouterr().err
    assert "there is no runner 'nobody'; expected one of [" in told
    assert "'library']" in told
    assert main(["run", "demo", "--runner", "no_such_module:here"]) == 1
    assert "needs the module 'no_such_module'" in capsys.readouterr().err


def test_a_stage_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "demo", "--until", "latent"])
    assert ended.value.code == 2
    assert "latents" in capsys.readouterr().err
