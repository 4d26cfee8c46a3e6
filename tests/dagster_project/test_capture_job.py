"""The job `capture`: which partitions a launch names."""

import pytest

from dagster_project.capture_job import CaptureConfig, chosen
from delphi_assets.errors import SettingError
from delphi_assets.settings import load_profile

PROFILE = load_profile("demo")
LAST = PROFILE.n_shards - 1


def test_as_it_stands_it_is_all_of_the_profile() -> None:
    assert chosen(PROFILE, CaptureConfig()) == (
        list(PROFILE.cache.hookpoints),
        range(PROFILE.n_shards),
    )


def test_a_launch_names_some() -> None:
    config = CaptureConfig(hookpoints=["layers.9"], first_shard=2, last_shard=3)
    assert chosen(PROFILE, config) == (["layers.9"], range(2, 4))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (CaptureConfig(hookpoints=["layers.99"]), r"\['layers.99'\].*expected some of"),
        (CaptureConfig(first_shard=LAST + 1), f"expected two numbers from 0 to {LAST}"),
        (CaptureConfig(last_shard=LAST + 1), f"last_shard = {LAST + 1}"),
        (CaptureConfig(first_shard=3, last_shard=2), "the first not after the last"),
    ],
)
def test_what_is_not_there_is_refused(config: CaptureConfig, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        chosen(PROFILE, config)
