"""Launches that ask an LLM: one that cannot be asked, or gives nothing of use, is a failed run."""

from pathlib import Path

import dagster as dg
import pytest

from dagster_project.runner import _error
from delphi_assets import connect
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import JUDGES
from delphi_assets.settings import Profile
from tests.parts.explained_lake import RUN, SELECTION, make_lake, profile
from tests.parts.fault_server import FaultServer, Reply
from tests.parts.launching import launch

pytestmark = pytest.mark.slow

CONFIG = {"explainer": "default", "explainer_model": "openai/x"}
"""The launch's own model."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two latents, whose profile asks nobody."""
    return make_lake(tmp_path, 2)


def test_a_launch_without_a_key_fails(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    result = launch("explanations", profile(), lake, CONFIG)
    assert not result.success
    assert "explainer_model = 'openai/x' needs OPENAI_API_KEY" in str(_error(result))


def test_a_launch_in_which_every_answer_failed_fails(lake: Lake) -> None:
    with FaultServer(lambda asked: Reply(status=400)) as server:
        result = launch("explanations", profile(api_base=server.url), lake, CONFIG)
    assert not result.success
    assert "no answer of model = 'openai/x'" in str(_error(result))
    failed = "select count(*) from explanations where failure = 'rejected'"
    assert connect(lake).sql(failed).fetchall() == [(2,)], "the rows are stored"


def test_a_launch_may_call_llms_otherwise(lake: Lake) -> None:
    """By the resource: the profile stays as it is, and what cannot be is refused at once."""
    with FaultServer(lambda asked: Reply(status=500)) as server:
        asked = profile(api_base=server.url, max_retries=0)
        launch("explanations", asked, lake, CONFIG)
        n_asked = len(server.asked)
        launch("explanations", asked, lake, CONFIG, llm={"max_retries": 2})
        assert len(server.asked) == n_asked + 3 * n_asked
        result = launch("explanations", asked, lake, CONFIG, llm={"max_retries": -1})
    assert "max_retries = -1" in str(_error(result))


def test_a_launch_shows_the_card_of_its_judge_and_warns_without_one(lake: Lake) -> None:
    launch("explanations", profile(), lake, {"explainer": "lexical", "explainer_model": "lexical"})
    config = {"scorers": ["detection"], "scorer_model": "openai/x", "explainer": "lexical"}

    def launched(given: Profile) -> tuple[dg.AssetCheckEvaluation, bool]:
        result = launch("predictions", given, lake, config)
        assert result.success, _error(result)
        (check,) = [
            one
            for one in result.get_asset_check_evaluations()
            if one.check_name == "uncalibrated_judges"
        ]
        (made,) = result.get_asset_materialization_events()
        return check, "judge_cards" in made.materialization.metadata

    with FaultServer(lambda asked: Reply("[1, 1, 1, 1, 1]")) as server:
        given = profile(api_base=server.url, repair=False)
        check, shown = launched(given)
        assert (check.passed, check.severity, shown) == (False, dg.AssetCheckSeverity.WARN, False)
        assert "never calibrated" in str(check.description).replace("\\", "")
        with connect(lake) as con:
            asked = con.sql("select distinct scorer, judge, judge_hash from predictions")
            (found,) = asked.to_arrow_table().to_pylist()
        card = {"planted_run": "planted", **found, "auroc": 0.8, "auroc_low": 0.7}
        full = {name: card.get(name) for name in JUDGES.arrow.names}
        lake.append(JUDGES, {"run": RUN}, JUDGES.from_rows([full]))
        check, shown = launched(given)
        assert (check.passed, shown) == (True, True)


def test_the_checks_of_a_launch_do_not_say_another_selection(lake: Lake) -> None:
    """The run keeps the tag of the selection that was chosen, not of the profile's."""
    given = profile()
    other = given.selection.model_copy(update={"name": "other"})
    named = given.model_copy(update={"selection": other})
    with dg.DagsterInstance.ephemeral() as instance:
        config = {"explainer": "lexical", "selection": SELECTION}
        result = launch("explanations", named, lake, config, instance=instance)
        assert result.success, _error(result)
        assert result.get_asset_check_evaluations(), "checks ran behind it"
        (run,) = instance.get_runs()
    assert run.tags["delphi-assets/selection"] == SELECTION
