"""The documentation's code: Python runs, SQL answers, profiles are accepted, commands exist."""

import importlib.util
import json
import re
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from benchmarks.__main__ import benchmarks
from benchmarks.questions import questions
from dagster_project.definitions import defs
from delphi_assets import command_line, connect
from delphi_assets.ground.registries import EXPLAINERS, SCORERS
from delphi_assets.settings import parse_profile, profile_path
from tests.parts.documents import PAGES, ROOT, blocks, commands, make_demo_lake

pytestmark = pytest.mark.slow

ASKING = ROOT / "docs" / "asking.md"
LABELS = ROOT / "docs" / "labels.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
"""Has a lake and a test of its own."""

PLANTED = ROOT / "docs" / "planted.md"
"""So has this one, `tests/whole/test_planted.py`; its TOML is no profile."""

JUDGES = ROOT / "docs" / "judges.md"
"""So has this one, `tests/whole/test_calibrate.py`."""

OWN = {*(ROOT / "docs" / "add-your-own").glob("*.md")}
"""Hold modules of a package of the reader's, and have a test of their own."""

WITH_CODE = [page for page in PAGES if page not in (TUTORIAL, *OWN) and blocks(page, "python")]
WITH_COMMANDS = [page for page in PAGES if commands(page)]


def shown(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake like the demo's, explained and scored by a page that says how."""
    folder = tmp_path_factory.mktemp("documents")
    make_demo_lake(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (explains,) = [
            block for block in blocks(ROOT / "docs" / "python.md", "python") if "da.score(" in block
        ]
        exec(compile(explains, "docs/python.md", "exec"), {})
        (file,) = blocks(LABELS, "csv")
        Path("ratings.csv").write_text(file, encoding="utf-8")
        (added,) = [words[1:] for words in commands(LABELS) if words[1] == "add-labels"]
        assert command_line.main(added) == 0
    return folder


def test_an_example_explains_and_scores(folder: Path) -> None:
    con = connect(folder / "lake")
    assert con.sql("select count(distinct latent) from scores").fetchall() == [(2,)]


@pytest.mark.parametrize("page", WITH_CODE, ids=shown)
def test_python_runs(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    # What a page registers is of no use to other tests.
    monkeypatch.setattr(EXPLAINERS, "_registered", {})
    monkeypatch.setattr(SCORERS, "_registered", {})
    for block in blocks(page, "python"):
        exec(compile(block, shown(page), "exec"), {})


def test_sql_answers(folder: Path) -> None:
    con = connect(folder / "lake")
    pages = [page for page in PAGES if page not in (TUTORIAL, PLANTED, JUDGES, *OWN)]
    found = [block for page in pages for block in blocks(page, "sql")]
    assert len(found) >= 3
    for block in found:
        assert con.sql(block.rstrip().rstrip(";")).fetchall(), block


def test_twenty_questions_are_answered_in_time_and_need_little(folder: Path) -> None:
    """Two joins at most, and no length of a context; the bound is for the slowest of machines."""
    asked = list(questions())
    assert len(asked) == 20
    assert len({title for title, _ in asked}) == 20
    con = connect(folder / "lake")
    for title, statement in asked:
        assert len(re.findall(r"\bjoin\b", statement)) <= 2, title
        assert not re.search(r"//|%|\bunnest\b", statement), title
        start = time.perf_counter()
        assert con.sql(statement).fetchall(), title
        assert time.perf_counter() - start < 60, title


def test_profiles_are_accepted() -> None:
    """Parts of a profile, put over the demo's; the tutorial's first is a whole one."""
    base = tomllib.loads(profile_path("demo").read_text(encoding="utf-8"))
    pages = [page for page in PAGES if page not in (TUTORIAL, PLANTED, *OWN)]
    found = [block for page in pages for block in blocks(page, "toml")]
    assert len(found) >= 3
    for block in found:
        profile = parse_profile({**base, **_over(base, tomllib.loads(block))})
        assert all(map(profile.sparse_model_of, profile.cache.hookpoints))


def _over(
    base: dict[str, dict[str, object]], part: dict[str, dict[str, object]]
) -> dict[str, object]:
    return {name: {**base.get(name, {}), **settings} for name, settings in part.items()}


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=shown)
def test_commands_exist(page: Path) -> None:
    for words in commands(page):
        program = Path(words[0]).name
        assert program in CHECKS, words
        CHECKS[program](words[1:])


def test_queries_of_the_command_line_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    asked = [words[1:] for words in commands(ASKING) if words[1:2] == ["sql"] and len(words) > 3]
    assert len(asked) >= 2
    for words in asked:
        assert command_line.main(words) == 0, words
        assert capsys.readouterr().out.count("\n") > 1, words


def check_make(words: Sequence[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in words:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def check_delphi_assets(words: Sequence[str]) -> None:
    parser = command_line._parser()
    if (option := parser._option_string_actions.get(words[0])) is not None:
        assert words[1:2] == [] or words[1] in (option.choices or ())
    elif len(words) > 1:
        parser.parse_args(words)
    else:
        assert words[0] in command_line.COMMANDS


def check_python(words: Sequence[str]) -> None:
    assert words[0] == "-m", words
    assert importlib.util.find_spec(words[1]) is not None, words
    assert words[1] != "benchmarks" or words[2] in benchmarks(), words


def check_dg(words: Sequence[str]) -> None:
    if words[0] != "launch":
        assert list(words) in (["dev"], ["check", "defs"])
        return
    given = dict(zip(words[1::2], words[2::2], strict=True))
    if "--assets" in given:
        asset = defs.resolve_assets_def(dg.AssetKey(given["--assets"]))
        assert asset.partitions_def is not None
        first, last = given["--partition-range"].split("...")
        assert {first, last} <= {str(key) for key in asset.partitions_def.get_partition_keys()}
        return
    job = defs.resolve_job_def(given["--job"])
    if job.partitions_def is not None:
        assert given["--partition"] in job.partitions_def.get_partition_keys()
    assert dg.validate_run_config(job, json.loads(given.get("--config-json", "{}")))


def check_duckdb(words: Sequence[str]) -> None:
    assert words[0] == "-init", words
    assert (ROOT / words[1]).is_file()


CHECKS = {
    "make": check_make,
    "delphi-assets": check_delphi_assets,
    "python": check_python,
    "dg": check_dg,
    "duckdb": check_duckdb,
}
