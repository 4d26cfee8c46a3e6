"""Neighbours that are there already: whether they stay or are written again.

In: what is known of them, and what is asked for now. Out: the same, or nothing where they have to
be written again: their file is damaged, or settings, code or activations are others.

Writing them again costs nothing but time. A selection that drew windows from them would then say
less of where these come from, so other settings have to be insisted on once there is one.
"""

import logging
from collections.abc import Mapping

from delphi_assets.errors import ConflictError
from delphi_assets.lake.manifests import DRAWN_FROM, Manifest, differences
from delphi_assets.lake.place import Place
from delphi_assets.lake.versions import Inputs, changes

_SECTION = "neighbours."

log = logging.getLogger(__name__)


def kept(
    place: Place,
    there: Manifest | None,
    own: Mapping[str, object],
    made_from: Inputs,
    *,
    rebuild: bool,
) -> Manifest | None:
    """What is there, unless it is damaged or to be written again; raises `ConflictError`.

    `own` are the settings of neighbours, as they are asked for.
    """
    if there is None:
        return None
    stored = {name: value for name, value in there.config.items() if name.startswith(_SECTION)}
    whole = place.lake.whole(there, {**stored, **place.config})
    others = list(differences(stored, own))
    drawn = selections_drawing_on(place, str(there.keys["method"])) if others else []
    if drawn and not rebuild:
        raise ConflictError(
            f"{there.unit} in the lake was made with {', '.join(others)} is asked for, and the "
            f"selections {drawn} drew on it; launch it with rebuild = true, which writes these "
            "neighbours again at no cost but time and leaves the selections as they are, or "
            "restore the setting."
        )
    if told := [*others, *changes(there, made_from)]:
        log.warning("%s is written again: %s", there.unit, "; ".join(told))
        return None
    return whole


def selections_drawing_on(place: Place, method: str) -> list[str]:
    """Names of the hookpoint's selections whose windows were found by neighbours of a method."""
    drawn = {
        str(made.keys["selection"])
        for made in place.lake.manifests("examples", **place.keys)
        if method in made.config.get(DRAWN_FROM, {})
    }
    return sorted(drawn)
