"""The score table: which hookpoints' kept scores are behind their predictions.

In: a lake. Out: what is known of a hookpoint's unit of the table kept_scores, from names of files.

Scores are kept as a unit a hookpoint, which is written again when a stage that wrote predictions
has ended (`score_keeping`), and not as rows that are added with the answers. So a write of answers
costs nothing more; whoever reads scores meets one file in order of latent, without older rows, so
that a filter or a join reaches it; and a process that was killed leaves nothing wrong:

1. The unit's manifest names the files of predictions that its rows were computed from, and what
   computed them.
2. A unit is behind where other files are there, or another version of the statements is. That takes
   a listing of names, whoever wrote the files.
3. A connection (`database.connect`) computes the scores of hookpoints that are behind.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from delphi_assets.lake.lake import Lake
from delphi_assets.lake.manifests import Manifest, folder_of
from delphi_assets.lake.schema import PREDICTIONS
from delphi_assets.lake.units import kept_scores_unit

FILES, COMPUTED_BY = "predictions", "computed_by"
"""Facts of a unit: names of files of predictions, and a hash of the statements."""

_STATEMENTS = (
    "scores/computed_scores",
    "scores/correlations",
    "scores/masses",
    "macros/latest_predictions",
    "macros/drawn_mass",
)


class Behind(NamedTuple):
    """A hookpoint whose kept scores are not those of its predictions."""

    run: str
    hookpoint: str

    @property
    def predictions(self) -> str:
        """Folder of its predictions, relative to the lake's root."""
        return folder_of(PREDICTIONS.name, self._asdict())


def behind(lake: Lake, statements: Path) -> list[Behind]:
    """The hookpoints whose kept scores are behind, in order; `statements` is the folder `sql/`."""
    found = []
    for folder, names in sorted(_predictions(lake).items()):
        keys = dict(part.split("=", 1) for part in folder.split("/")[1:])
        place = Behind(unquote(keys["run"]), unquote(keys["hookpoint"]))
        kept = kept_of(lake, place)
        if kept is None or not is_of(kept, names, statements):
            found.append(place)
    return found


def kept_of(lake: Lake, place: Behind) -> Manifest | None:
    """The manifest of what is kept of a hookpoint; None where that is not there whole."""
    path = kept_scores_unit(*place).path
    stored = lake.read_json(path)
    if stored is None:
        return None
    # Not by `Lake.manifest`, which may write: a connection does not.
    kept = Manifest.read(path, stored)
    return kept if kept.in_place and not any(map(lake.damage, kept.files)) else None


def is_of(kept: Manifest, names: set[str], statements: Path) -> bool:
    """Whether it was computed from these files of predictions by the statements of today."""
    made = kept.facts.get(FILES), kept.facts.get(COMPUTED_BY)
    return made == (sorted(names), hash_of(statements))


@cache
def hash_of(statements: Path) -> str:
    """What the statements that compute scores are, macros that they call among them."""
    macros = sorted(path for path in (statements / "macros").glob("*95.sql"))
    paths = [*(statements / f"{name}.sql" for name in _STATEMENTS), *macros]
    paths.append(statements / "macros" / "wilson.sql")
    texts = b"\0".join(path.read_bytes() for path in paths)
    return hashlib.sha256(texts).hexdigest()[:12]


def _predictions(lake: Lake) -> Mapping[str, set[str]]:
    """Names of the files of predictions by their folders; those without rows are left out."""
    names = defaultdict[str, set[str]](set)
    if lake.exists(PREDICTIONS.name):
        for path in lake.paths(PREDICTIONS.name):
            folder, _, name = path.rpartition("/")
            if "run=_" not in folder.split("/"):
                names[folder].add(name)
    return names
