"""What stands for a coder in a planted run: a name, and weights without values.

In: the run whose contexts are planted on, and predicates. Out: the planted run's profile, and its
table weights.
"""

import numpy as np
import pyarrow as pa

from delphi_assets.caching.coder_preparation import weights_config
from delphi_assets.caching.planting.copied_corpus import FROM
from delphi_assets.caching.planting.predicates import Predicates
from delphi_assets.errors import SettingError
from delphi_assets.lake.lake import File
from delphi_assets.lake.place import Place, RunPlace
from delphi_assets.lake.schema import WEIGHTS
from delphi_assets.lake.units import weights_unit
from delphi_assets.settings import Profile, parse_profile

HOOKPOINT = "planted"
"""The one hookpoint of a planted run."""


def planted_profile(source: RunPlace, run: str, predicates: Predicates) -> Profile:
    """The profile of a planted run: another one's, with another name, hookpoint and coder.

    Neighbours by weights are left out, as there are none. Raises `SettingError` for a name that is
    taken by the profile itself or that a run cannot have.
    """
    profile, lake = source.profile, source.lake.location("")
    if run == profile.run.name:
        raise SettingError(
            f"--run {run!r} is the run of the profile, whose contexts are planted on; expected "
            "another name, such as 'planted'."
        )
    raw = profile.model_dump(exclude_unset=True, mode="json")
    by_weights = [name for name in profile.neighbours.methods if name in ("decoder", "encoder")]
    if by_weights:
        left = [name for name in profile.neighbours.methods if name not in by_weights]
        raw["neighbours"] = {**raw["neighbours"], "methods": left or ["co-occurrence"]}
    return parse_profile(
        {
            **raw,
            "run": {**raw.get("run", {}), "name": run, "lake": lake},
            "cache": {**raw.get("cache", {}), "hookpoints": [HOOKPOINT]},
            "coder": {"sparse_model": f"planted:{predicates.sha256[:16]}"},
        },
        origin=f"the profile of run {profile.run.name!r}, to be planted on as {run!r}",
    )


def write_weights(place: Place, source: str, predicates: Predicates) -> None:
    """A row for every latent, without values."""
    unit, config, n = weights_unit(place.run, HOOKPOINT), weights_config(place), len(predicates.all)
    if place.lake.ready(unit, config) is None:
        nulls = pa.nulls(n, pa.float32())
        latents = np.arange(n, dtype=np.int32)
        columns = {**dict.fromkeys(WEIGHTS.arrow.names, nulls), "latent": latents}
        rows = pa.table(columns, WEIGHTS.arrow)
        place.lake.publish(unit, [File(rows)], config, {"num_latents": n, FROM: source})
