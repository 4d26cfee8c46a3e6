"""The code location: it loads, loads light, and shows what the schema says."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from pydantic import BaseModel

from dagster_project.assets.predictions import PredictionsConfig
from dagster_project.launch import launched
from dagster_project.lineage import COLUMNS, column_lineage
from delphi_assets.errors import SettingError
from delphi_assets.lake import schema
from delphi_assets.runs.order import STAGES
from delphi_assets.settings import (
    ExplainSettings,
    NeighbourSettings,
    ScoreSettings,
    SelectionSettings,
)

pytestmark = pytest.mark.slow

LIGHT = """
import json, sys
import dagster_project.definitions
print(json.dumps([name for name in sys.argv[1:] if name in sys.modules]))
"""
HEAVY = ("torch", "transformers", "litellm", "datasets", "sparsify", "gguf", "matplotlib")
SOURCES = ("corpus", "model", "coder")
ORDER = [*SOURCES, *STAGES, "labels", "explorer"]
GROUPS = ("subject", "selection", "explaining", "scoring")
"""In the order of the data's way."""
JOBS = {
    "cache_hookpoint": {"activations": {"capture_missing": True}},
    "explain": {},
    "explain_next": {"explanations": {"latents": "next 1000"}},
    "score": {},
    "rescore": {
        "predictions": {"scorer_model": "lexical", "explainer": "lexical", "latents": "all"}
    },
    "retry_failures": {"explanations": {"latents": "failed"}, "predictions": {"latents": "failed"}},
}
"""What each job asks for as it stands, under the demo's profile."""


@pytest.fixture
def defs() -> dg.Definitions:
    """The definitions of this process's profile."""
    from dagster_project.definitions import defs

    return defs


def test_definitions_are_loadable(defs: dg.Definitions) -> None:
    """Dagster finds nothing wrong with assets, checks, jobs and their partitions."""
    dg.Definitions.validate_loadable(defs)


def test_loads_without_heavy_modules() -> None:
    """Opening the UI must not wait for torch, transformers or litellm."""
    loaded = subprocess.run(
        [sys.executable, "-c", LIGHT, *HEAVY], capture_output=True, text=True, check=True
    )
    assert json.loads(loaded.stdout) == []


def test_graph_follows_the_data(defs: dg.Definitions) -> None:
    """Assets, in an order in which each comes after what it reads."""
    graph = defs.resolve_asset_graph()
    names = [key.to_user_string() for key in graph.toposorted_asset_keys]
    assert sorted(names) == sorted(ORDER)
    for name in ORDER:
        parents = graph.get(dg.AssetKey(name)).parent_keys
        assert all(ORDER.index(parent.to_user_string()) < ORDER.index(name) for parent in parents)


@pytest.mark.parametrize("name", ORDER)
def test_every_asset_says_what_it_is(defs: dg.Definitions, name: str) -> None:
    """One sentence, then in, out, cost and what to look at; group, kinds, owners, and where."""
    node = defs.resolve_asset_graph().get(dg.AssetKey(name))
    assert node.description is not None
    first, rest = node.description.split("\n\n")
    assert first.endswith(".")
    for part in ("**In:**", "**Out:**", "**Cost:**", "**Look at:**"):
        assert part in rest
    assert node.group_name in GROUPS
    assert node.kinds
    assert node.owners
    assert {"dagster/uri", "definition"} & set(node.metadata)
    assert node.tags["cost"] == ("paid" if name in ("explanations", "predictions") else "free")
    assert node.tags["result"] in ("source", "table", "view", "site")


@pytest.mark.parametrize("name", [name for name in ORDER if name not in (*SOURCES, "labels")])
def test_every_asset_says_where_it_is_defined(defs: dg.Definitions, name: str) -> None:
    """The UI links the file and the line; what comes from outside has no code."""
    found = defs.resolve_asset_graph().get(dg.AssetKey(name)).metadata["dagster/code_references"]
    (reference,) = found.code_references
    file = Path(reference.file_path)
    assert file.name == f"{name}.py"
    assert "@dg.asset(" in file.read_text(encoding="utf-8").splitlines()[reference.line_number - 1]


def test_the_graph_begins_with_what_comes_from_outside(defs: dg.Definitions) -> None:
    """And nothing of it can be launched."""
    graph = defs.resolve_asset_graph()
    keys = graph.toposorted_asset_keys
    roots = {key.to_user_string() for key in keys if not graph.get(key).parent_keys}
    assert roots == {*SOURCES, "labels"}
    for name in roots:
        assert not graph.get(dg.AssetKey(name)).is_executable


def test_groups_follow_the_data(defs: dg.Definitions) -> None:
    """No asset reads one of a later group."""
    graph = defs.resolve_asset_graph()
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        for parent in node.parent_keys:
            group = graph.get(parent).group_name
            assert GROUPS.index(group) <= GROUPS.index(node.group_name)


def test_columns_come_from_columns_upstream(defs: dg.Definitions) -> None:
    """Both ends of the lineage are in the schema, and the asset reads where it comes from."""
    tables = {**schema.TABLES, **schema.INTERMEDIATE, "scores": schema.SCORES}
    tables["sparse_coder"] = schema.WEIGHTS

    def columns(table: str) -> set[str]:
        return {column.name for column in (*tables[table].keys, *tables[table].columns)}

    graph = defs.resolve_asset_graph()
    for asset, made_of in COLUMNS.items():
        assert set(made_of) <= columns(asset)
        upstream = {key.to_user_string() for key in graph.get(dg.AssetKey(asset)).parent_keys}
        for source in {source for sources in made_of.values() for source in sources}:
            table, _, name = source.partition(".")
            assert table in upstream, (asset, source)
            assert name in columns(table), (asset, source)
        lineage = column_lineage(asset)
        assert lineage is not None
        assert set(lineage.deps_by_column) == set(made_of)
    assert column_lineage("contexts") is None


@pytest.mark.parametrize("name", JOBS)
def test_a_job_is_launched_as_it_stands(defs: dg.Definitions, name: str) -> None:
    """It says what it does, and once a hookpoint is chosen its settings are there."""
    job = defs.resolve_job_def(name)
    assert job.description
    config = job.get_run_config_for_partition_key("layers.9")
    given = {op: fields["config"] for op, fields in config.get("ops", {}).items()}
    assert given == JOBS[name]
    assert dg.validate_run_config(job, config)


def test_the_job_of_one_pass_has_no_partitions(defs: dg.Definitions) -> None:
    """So its Launchpad opens at once, and what it captures is run config."""
    job = defs.resolve_job_def("capture")
    assert job.description
    assert not job.partitions_def
    assert dg.validate_run_config(job, {})


def test_every_job_is_known(defs: dg.Definitions) -> None:
    made = {name for name in defs.get_repository_def().job_names if not name.startswith("__")}
    assert made == {*JOBS, "capture"}


@pytest.mark.parametrize("name", [name for name in ORDER if name in schema.TABLES])
def test_columns_come_from_the_schema(defs: dg.Definitions, name: str) -> None:
    """The UI shows the columns that are written, path keys among them."""
    metadata = defs.resolve_asset_graph().get(dg.AssetKey(name)).metadata
    table = schema.TABLES[name]
    shown = metadata["dagster/column_schema"].columns
    assert [column.name for column in shown] == [c.name for c in (*table.keys, *table.columns)]
    assert all(column.description for column in shown)
    assert metadata["dagster/uri"].endswith(f"{name}/run=demo")


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("no-such-profile", "expected a path to a TOML file"),
        ("bad.toml", "cache.n_token = 5: no such setting"),
    ],
)
def test_a_bad_profile_fails_before_anything_runs(
    tmp_path: Path, profile: str, message: str
) -> None:
    """The demo says what is wrong with the profile, in plain words, and makes no lake."""
    (tmp_path / "bad.toml").write_text("[cache]\nn_token = 5\n")
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-m", "dagster_project.demo", profile],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), "DAGSTER_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.toml"]


LAUNCHES: dict[str, tuple[type[BaseModel], set[str]]] = {
    "neighbours": (NeighbourSettings, {"rebuild"}),
    "examples": (SelectionSettings, set()),
    "explanations": (ExplainSettings, {"selection"}),
    "predictions": (ScoreSettings, {"selection", "explainer"}),
}


@pytest.mark.parametrize("asset", LAUNCHES)
def test_a_launch_may_change_every_setting(defs: dg.Definitions, asset: str) -> None:
    """Fields under the names of the settings, each with its line, and the asset's own."""
    section, own = LAUNCHES[asset]
    node = defs.resolve_asset_graph().get(dg.AssetKey(asset)).assets_def.op
    config = node.config_schema.config_type
    assert isinstance(config, dg.Shape)
    fields = config.fields
    assert set(fields) == {*section.model_fields, *own}
    for name, field in fields.items():
        assert not field.is_required
        assert field.description
        if name in section.model_fields:
            assert field.description.startswith(str(section.model_fields[name].description))
    literals = {
        "fuzz_type": "(default or active)",
        "cot": "",
    }
    assert all(
        str(fields[name].description).endswith(values)
        for name, values in literals.items()
        if name in fields
    )


def test_what_a_launch_gives_replaces_the_profiles() -> None:
    """Every setting of [score] with another value; an empty text is none, an empty list is one."""
    changes: dict[str, object] = {
        "latents": "0-2",
        "scorers": ["simulation"],
        "options": {"tests.parts.with_options:picky": {"least": 2, "words": ["a", "b"]}},
        "scorer_model": "openai/judge",
        "answer": "first_token",
        "num_examples_per_scorer_prompt": 3,
        "log_prob": True,
        "controls": ["empty"],
        "prompts": "texts",
        "prompt_version": "latest",
        "fuzz_type": "active",
        "intruder_type": "internal",
        "intruder_windows": 4,
        "discrimination_alternatives": 2,
        "embedding_model": "owner/encoder",
        "simulation_type": "json",
        "causal_model": "owner/model",
        "causal_dtype": "bfloat16",
    }
    made = PredictionsConfig(**changes)
    section = ScoreSettings(controls=("shuffled",))
    settings = launched(section, "predictions", made)
    assert settings == ScoreSettings.model_validate(changes)
    assert set(changes) == set(ScoreSettings.model_fields)
    kept = launched(section, "predictions", PredictionsConfig(latents="", fuzz_type=None))
    assert kept == section
    assert launched(section, "predictions", PredictionsConfig(controls=[])).controls == ()
    with pytest.raises(SettingError, match=r"launch of predictions.*\n.*fuzz_type = 'lively'"):
        launched(section, "predictions", PredictionsConfig(fuzz_type="lively"))


def test_warnings_of_the_library_stand_among_a_runs_events() -> None:
    """With the settings that `make ui` and `make demo` give the instance."""
    file = Path(__file__).parents[2] / "dagster_project" / "dagster.yaml"
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))

    @dg.asset
    def warning() -> None:
        logging.getLogger("delphi_assets.caching.capture").warning("no latent fires")

    with dg.instance_for_test(overrides={"python_logs": settings["python_logs"]}) as instance:
        run = dg.materialize([warning], instance=instance).run_id
        assert "no latent fires" in [event.user_message for event in instance.all_logs(run)]
