"""Samplers of one's own: what they give is drawn, or refused."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from delphi_assets.errors import DataError, SettingError
from delphi_assets.ground.registries import TEST_SAMPLERS, TRAIN_SAMPLERS
from delphi_assets.lake.database import Parameter
from delphi_assets.selection.examples import choose_examples
from delphi_assets.selection.samplers import Sampler
from delphi_assets.settings import SelectionSettings, override
from tests.parts.random_lake import HOOKPOINT, random_lake

pytestmark = pytest.mark.slow


def sampler_of(path: Path, **parameters: Parameter) -> type[Sampler]:
    """A sampler that asks the statement in `path`."""

    class Own(Sampler):
        statement = path

        def parameters(self, selection: SelectionSettings) -> Mapping[str, Parameter]:
            return parameters

    return Own


TRAIN = "create or replace temp table train as select latent, {place}, quantile from pool {rest}"
HELD_OUT = (
    "create or replace temp table held_out as select latent, place, position, {quantile} as "
    "quantile, {draw} as draw from pool {rest}"
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TRAIN.format(place="place", rest="where place <= 4"), None),
        (
            TRAIN.format(place="place", rest=""),
            r"gave \d+ windows to latent \d+, .*; expected at most",
        ),
        (TRAIN.format(place="1 as place", rest="where place < 3"), "gave 2 windows .*, 1 of them"),
        (TRAIN.format(place="place + 1000 as place", rest="where place = 1"), "gave 1 .*, 0 of"),
        ("create temp table train as select 1 as latent", "cannot draw by .*place"),
        ("select 1", "cannot draw by .*train"),
        ("selekt", "cannot draw by .*own.sql: .*; mend that statement"),
        (None, "own.sql cannot be read"),
    ],
)
def test_train_windows_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, problem: str | None
) -> None:
    if text is not None:
        (tmp_path / "own.sql").write_text(text)
    monkeypatch.setattr(TRAIN_SAMPLERS, "_registered", {"own": sampler_of(tmp_path / "own.sql")})
    check(tmp_path, problem, train_type="own")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            HELD_OUT.format(
                quantile="0", draw="place", rest="anti join train using (latent, place)"
            ),
            None,
        ),
        (
            HELD_OUT.format(quantile="0", draw="place", rest=""),
            "expected windows of the table pool",
        ),
        (
            HELD_OUT.format(
                quantile="0", draw="null", rest="anti join train using (latent, place)"
            ),
            "0 of them",
        ),
    ],
)
def test_test_windows_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str | None
) -> None:
    (tmp_path / "own.sql").write_text(text)
    monkeypatch.setattr(TEST_SAMPLERS, "_registered", {"own": sampler_of(tmp_path / "own.sql")})
    check(tmp_path, problem, test_type="own")


def check(folder: Path, problem: str | None, **changes: object) -> None:
    data = random_lake(
        folder, example_ctx_len=8, min_examples=8, n_examples_train=4, n_examples_test=4
    )
    selection = override(data.profile.selection, "test", **changes)
    if problem is None:
        rows = choose_examples(data.profile, data.lake, HOOKPOINT, selection).to_pylist()
        assert {(row["split"], row["source"]) for row in rows} >= {
            (name.removesuffix("_type"), "own") for name in changes
        }
        return
    with pytest.raises(DataError, match=problem):
        choose_examples(data.profile, data.lake, HOOKPOINT, selection)


def test_what_is_no_sampler_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRAIN_SAMPLERS, "_registered", {"own": int})
    data = random_lake(tmp_path, example_ctx_len=8, min_examples=8)
    selection = override(data.profile.selection, "test", train_type="own")
    with pytest.raises(SettingError, match="train sampler 'own' is a int; expected a Sampler"):
        choose_examples(data.profile, data.lake, HOOKPOINT, selection)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"train_type": "activations"}, r"train_type = 'activations'; expected one of \['mix'"),
        (
            {"test_type": "mix"},
            r"test_type = 'mix'; expected one of \['activations', 'quantiles'\]",
        ),
        ({"options": {"mix": {"a": 1}}}, "the train sampler 'mix' takes no options"),
        (
            {"options": {"activations": {"a": 1}}, "test_type": "activations"},
            "the test sampler 'activations' takes no options",
        ),
        ({"options": {"nothing": {"a": 1}}}, "there is no non-activating source 'nothing'"),
    ],
)
def test_samplers_that_do_not_exist_are_refused(given: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingError, match=problem):
        override(SelectionSettings(), "test", **given)
