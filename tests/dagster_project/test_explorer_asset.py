"""The asset `explorer` shows what is described: without the table latents it refuses."""

from pathlib import Path

import pytest

from dagster_project.runner import _error
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import LATENTS
from tests.parts.explained_lake import HOOKPOINT, RUN, make_lake, profile
from tests.parts.hand_built import latent
from tests.parts.launching import launch

pytestmark = pytest.mark.slow


def test_without_latents_it_names_the_asset_to_run(tmp_path: Path) -> None:
    lake: Lake = make_lake(tmp_path, 2)
    result = launch("explorer", profile(), lake)
    assert not result.success
    assert "materialize the asset 'latents' first" in str(_error(result))
    assert not (tmp_path / "lake" / "explorer").exists()
    rows = [{name: latent(0, {}).get(name) for name in LATENTS.arrow.names}]
    unit = Unit("latents", {"run": RUN, "hookpoint": HOOKPOINT})
    lake.publish(unit, [File(LATENTS.from_rows(rows))], config={})
    assert launch("explorer", profile(), lake).success
