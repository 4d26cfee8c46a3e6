"""The README: its code runs, its SQL answers, its reference is the schema's."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from delphi_assets import connect, load_profile
from delphi_assets.database import sql_folder
from delphi_assets.examples import select_examples
from delphi_assets.latents import describe_latents
from delphi_assets.neighbours import find_neighbours
from delphi_assets.schema import TABLES, markdown
from delphi_assets.settings import SelectionSettings, parse_profile
from tests.random_lake import random_lake

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `lake` has the demo's run and hookpoint, with random data."""
    folder = tmp_path_factory.mktemp("readme")
    demo = load_profile("demo")
    data = random_lake(
        folder / "lake",
        n_tokens=6_000,
        ctx_len=demo.cache.cache_ctx_len,
        n_buckets=demo.cache.n_buckets,
        run="demo",
        hookpoint="layers.9",
    )
    selection = SelectionSettings(
        min_examples=8, n_examples_train=4, n_examples_test=4, n_non_activating=4, n_quantiles=2
    )
    describe_latents(data.profile, data.lake, "layers.9")
    near = data.profile.neighbours
    find_neighbours(data.profile, data.lake, "layers.9", "co-occurrence", near)
    select_examples(data.profile, data.lake, "layers.9", selection)
    # From here on the lake passes for one that the demo's own profile made.
    (folder / "lake/manifests/runs/demo.json").unlink()
    data.lake.claim_run("demo", demo.run_config())
    manifests = folder / "lake/manifests"
    for path in [*manifests.glob("activations/**/*.json"), *manifests.glob("windows/**/*.json")]:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        manifest["config"] = demo.hookpoint_config("layers.9")
        path.write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def test_code_runs_and_sql_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    python, sql = blocks("python"), blocks("sql")
    assert len(python) >= 2
    assert len(sql) >= 2
    # The block that explains and scores comes first, so that the others find something.
    for block in sorted(python, key=lambda block: "explain(" not in block):
        exec(compile(block, "README.md", "exec"), {})
    con = connect("lake")
    assert con.sql("select count(distinct latent) from scores").fetchall() == [(2,)]
    for block in sql:
        assert con.sql(block.rstrip().rstrip(";")).fetchall(), block


def test_profiles_are_accepted() -> None:
    base = tomllib.loads((ROOT / "profiles/pythia-160m.toml").read_text(encoding="utf-8"))
    assert blocks("toml")
    for block in blocks("toml"):
        profile = parse_profile({**base, **tomllib.loads(block)})
        assert all(map(profile.sparse_model_of, profile.cache.hookpoints))


def test_table_reference_is_the_schema() -> None:
    assert markdown() in README


def test_every_analysis_and_view_is_named() -> None:
    shell = (sql_folder() / "lake.sql").read_text(encoding="utf-8")
    for folder in ("macros", "views", "scores"):
        for path in (sql_folder() / folder).glob("*.sql"):
            assert f".read sql/{folder}/{path.name}\n" in shell
    assert {path.stem for path in (sql_folder() / "views").glob("*.sql")} == set(TABLES)
    for path in (sql_folder() / "analysis").glob("*.sql"):
        assert f"`{path.stem}`" in README, path.stem


def test_documented_variables_and_settings_exist() -> None:
    settings = (ROOT / "delphi_assets" / "settings.py").read_text(encoding="utf-8")
    variables = set(re.findall(r"DELPHI_ASSETS_[A-Z]+", README))
    assert variables == set(re.findall(r"DELPHI_ASSETS_[A-Z]+", settings))
    for file in set(re.findall(r"`((?:sql|delphi_assets|profiles)/[\w/.-]+)`", README)):
        assert (ROOT / file).exists(), file
