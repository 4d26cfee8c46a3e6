"""`delphi-assets init`: a folder in which everything works, as the page about it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from delphi_assets.command_line import main
from delphi_assets.lake.database import connect
from delphi_assets.runs import new_project
from delphi_assets.settings import PROFILE_VARIABLE, load_profile, profile_path
from delphi_assets.settings.profile_files import LAKE_VARIABLE
from tests.parts.documents import ROOT, commands
from tests.parts.own_project import put_tiny_parts

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "own-project.md"


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment says which profile or lake."""
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    monkeypatch.delenv(LAKE_VARIABLE, raising=False)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("usual")
def test_a_new_folder_and_an_empty_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new" / "project", tmp_path / "empty"):
        assert main(["init", str(folder)]) == 0
        assert files(folder) == set(new_project.FILES)
        told = capsys.readouterr().out.splitlines()
        assert told[:-1] == [f"file: {folder / name}" for name in new_project.FILES]
        assert told[-1] == f"next: in {folder}: edit profile.toml, then delphi-assets check"
    monkeypatch.chdir(tmp_path / "empty")
    assert main(["check"]) == 0
    profile, ready = capsys.readouterr().out.splitlines()
    assert profile == "profile: profile.toml"
    assert ready.startswith("ready: run 'first' in lake ")


def test_every_template_is_laid_and_dagster_has_the_settings_of_this_project() -> None:
    templates = ROOT / "delphi_assets" / "runs" / "project_files"
    assert files(templates) == set(new_project.FILES.values())
    ours = (ROOT / "dagster_project" / "dagster.yaml").read_text(encoding="utf-8")
    assert (templates / "dagster.yaml").read_text(encoding="utf-8") == ours


@pytest.mark.usefixtures("usual")
def test_the_profile_of_a_folder_is_the_usual_one_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_profile().run.name == "demo"
    new_project.lay_project(tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    assert load_profile().run.name == "first"
    assert load_profile("demo").run.name == "demo"
    monkeypatch.setenv(PROFILE_VARIABLE, "pythia-160m")
    assert profile_path().name == "pythia-160m.toml"


def test_a_folder_that_holds_something_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    for folder, told in ((tmp_path, "is not empty, it holds 'mine'"), (tmp_path / "mine", "file")):
        assert main(["init", str(folder)]) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert told in err
        assert "expected a new folder, or an empty one" in err
    assert files(tmp_path) == {"mine"}
    assert main(["init", str(tmp_path / "mine" / "project")]) == 1
    assert "cannot be written into" in capsys.readouterr().err


def test_what_the_page_says_works_there(tmp_path: Path) -> None:
    """Every command of it but the UI, in processes of their own, on tiny parts."""
    environment = {
        **{name: value for name, value in os.environ.items() if "DELPHI_ASSETS" not in name},
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "DELPHI_ASSETS_CACHE": str(tmp_path / "cache"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    folder, ran = tmp_path, set()
    for shown in commands(PAGE):
        served = shown == ["make", "ui"]
        words = ["dg", "check", "defs"] if served else shown
        if served:
            environment["DAGSTER_HOME"] = str(folder / ".dagster")
        ended = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
        ran.add(words[1])
        if words[1] == "init":
            folder = tmp_path / words[2]
            put_tiny_parts(folder)
    assert ran >= {"init", "check", "run", "sql", "report", "estimate"}
    assert (folder / "site" / "index.html").is_file()
    with connect(folder / "lake") as con:
        assert con.sql("select count(*) > 0 from scores").fetchall() == [(True,)]
