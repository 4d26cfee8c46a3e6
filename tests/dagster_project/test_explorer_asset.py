"""The asset `explorer` shows what is described: without the table latents it refuses."""

import sys
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.assets.explorer import explorer as asset
from dagster_project.partitions import HOOKPOINTS
from dagster_project.runner import _error
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import LATENTS
from tests.parts.explained_lake import RUN, add_hookpoint, make_lake, profile
from tests.parts.hand_built import latent

pytestmark = pytest.mark.slow

# The package gives the asset under its module's name.
MODULE = sys.modules["dagster_project.assets.explorer"]
PLACE = HOOKPOINTS.get_partition_keys()[0]


def test_without_latents_it_names_the_asset_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake: Lake = make_lake(tmp_path, 2)
    add_hookpoint(lake, PLACE, range(2))
    for module in (MODULE, sys.modules["dagster_project.profile"]):
        monkeypatch.setattr(module, "PROFILE", profile())
    monkeypatch.setattr(MODULE, "open_lake", lambda: lake)
    result = dg.materialize([asset], partition_key=PLACE, raise_on_error=False)
    assert not result.success
    assert "materialize the asset 'latents' first" in str(_error(result))
    assert not (tmp_path / "lake" / "explorer").exists()
    rows = [{name: latent(0, {}).get(name) for name in LATENTS.arrow.names}]
    unit = Unit("latents", {"run": RUN, "hookpoint": PLACE})
    lake.publish(unit, [File(LATENTS.from_rows(rows))], config={})
    assert dg.materialize([asset], partition_key=PLACE).success
