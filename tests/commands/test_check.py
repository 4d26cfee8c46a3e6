"""`delphi-assets check`: two lines, whatever is found, and nothing made on the way."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from delphi_assets.command_line import main
from delphi_assets.lake.lake import Lake
from delphi_assets.runs import profile_check
from delphi_assets.settings import load_profile
from tests.parts.tiny_project import make_project

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny project whose lake is not begun."""
    folder = make_project(tmp_path)
    monkeypatch.setenv("DELPHI_ASSETS_LAKE", str(folder / "lake"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return folder


def changed(project: Path, **replaced: str) -> str:
    """The profile with lines replaced: `section__setting="value"`."""
    text = (project / "tiny.toml").read_text(encoding="utf-8")
    for name, value in replaced.items():
        section, _, setting = name.partition("__")
        before, heading, after = text.partition(f"[{section}]")
        text = (
            before
            + heading
            + re.sub(rf"(?m)^{setting} = .*$", f"{setting} = {value}", after, count=1)
        )
        assert f"{setting} = {value}" in text
    path = project / "changed.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_what_can_be_run_is_two_lines(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(project.rglob("*"))
    assert main(["check", str(project / "tiny.toml")]) == 0
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert err == ""
    assert first == f"profile: {project / 'tiny.toml'}"
    assert second.startswith(f"ready: run 'tiny' in lake {project / 'lake'}")
    assert second.endswith("looked at: lake, corpus, model and coders")
    assert sorted(project.rglob("*")) == before, "nothing is made"


def absent_corpus(project: Path) -> str:
    return changed(project, corpus__dataset_repo=json.dumps(str(project / "none")))


def empty_corpus(project: Path) -> str:
    (project / "empty").mkdir()
    return changed(project, corpus__dataset_repo=json.dumps(str(project / "empty")))


def absent_model(project: Path) -> str:
    return changed(project, model__name=json.dumps(str(project / "none")))


def absent_hookpoint(project: Path) -> str:
    return changed(project, cache__hookpoints='["layers.77"]')


def absent_coder(project: Path) -> str:
    return changed(project, coder__sparse_model=json.dumps(str(project / "none")))


def absent_key(project: Path) -> str:
    return changed(project, explain__explainer='"default"', explain__explainer_model='"openai/m"')


def absent_setting(project: Path) -> str:
    return changed(project, cache__batch_size="16\nbatch_sizes = 2")


def absent_file(project: Path) -> str:
    return "no-such-profile"


def newer_lake(project: Path) -> str:
    (project / "lake" / "manifests").mkdir(parents=True)
    (project / "lake" / "manifests" / "lake.json").write_text('{"schema_version": 999}')
    return str(project / "tiny.toml")


def other_run(project: Path) -> str:
    profile = load_profile(str(project / "tiny.toml"))
    Lake(project / "lake").claim_run("tiny", {**profile.run_config(), "cache.n_tokens": 5})
    return str(project / "tiny.toml")


def file_for_a_lake(project: Path) -> str:
    (project / "lake").write_text("no folder", encoding="utf-8")
    return str(project / "tiny.toml")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (absent_corpus, "none' does not exist"),
        (empty_corpus, "corpus.dataset_repo"),
        (absent_model, "cannot be loaded"),
        (absent_hookpoint, "layers.77"),
        (absent_coder, "coder.sparse_model"),
        (absent_key, "OPENAI_API_KEY"),
        (absent_setting, "cache.batch_sizes = 2: no such setting"),
        (absent_file, "expected a path to a TOML file"),
        (newer_lake, "has schema_version = 999"),
        (other_run, "cache.n_tokens"),
        (file_for_a_lake, "cannot be written"),
    ],
)
def test_what_is_wrong_is_a_line(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    broken: Callable[[Path], str],
    message: str,
) -> None:
    assert main(["check", broken(project)]) == 1
    out, err = capsys.readouterr()
    assert out.count("\n") == (broken is not absent_file)
    assert err.startswith("delphi-assets: ")
    assert err.count("\n") == 1
    assert message in err


def test_a_package_that_is_missing_is_named(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_spec
    monkeypatch.setattr(
        profile_check, "find_spec", lambda name: None if name == "sparsify" else found(name)
    )
    assert main(["check", str(project / "tiny.toml")]) == 1
    assert "needs the package 'eai-sparsify'" in capsys.readouterr().err


def test_what_is_on_the_hub_is_not_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = changed(project, corpus__dataset_repo='"owner/text"', model__name='"owner/model"')
    assert main(["check", profile]) == 0
    out = capsys.readouterr().out
    assert "not looked at: corpus (on the hub), model and coders (the model is on the hub)" in out


def test_the_shipped_profiles_are_ready(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENROUTER_API_KEY", "key")
    for name in ("demo", "demo-semantic", "pythia-160m"):
        assert main(["check", name]) == 0, capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


WITHOUT_TRANSFORMERS = """
import sys
sys.modules["transformers"] = None
from delphi_assets.command_line import main
sys.exit(main(["check", *sys.argv[1:]]))
"""


def test_what_was_looked_at_before_needs_no_transformers(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which takes longest to load."""
    profile = str(project / "tiny.toml")
    assert main(["check", profile]) == 0
    first = capsys.readouterr().out
    again = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRANSFORMERS, profile],
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout == first
