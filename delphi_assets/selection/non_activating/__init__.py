"""Non-activating windows: whole aligned windows in which a latent is silent.

In: a selection, and what its sources need of the lake. Out: `Sources`, ready to be asked for the
latents of a bucket (`sources`), each for its share, in the order of
`selection.non_activating_source`. A name stands for a `WindowSource` (`source`): those that come
with delphi-assets are in `shipped`; `ground.registry` says how one of one's own gets its name.

A window that one source gave is not offered by the next. What a source lacks stays missing and is
named in the table shortfalls. No source offers a window that a train or test window reaches into,
and semantic none beside these (`selection.semantic_gap`): what stands next to a window in which a
latent fires is most like it, and often about the same.
"""

from typing import Any

from delphi_assets.caching.hookpoint_tables import HookpointTables
from delphi_assets.ground.registries import SOURCES
from delphi_assets.lake.place import Place
from delphi_assets.selection.non_activating.source import SourcePlace, WindowSource
from delphi_assets.selection.non_activating.sources import Quota, Sources
from delphi_assets.settings import SelectionSettings
from delphi_assets.settings.options import made, told_of

_OPTIONS = "selection.options"


def quotas(selection: SelectionSettings) -> list[Quota]:
    """Windows asked for by share, with the largest remainders; the first source wins ties."""
    n = selection.n_non_activating + selection.n_non_activating_train
    shares = selection.non_activating_source
    whole = {source: int(n * share) for source, share in shares.items()}
    by_remainder = sorted(shares, key=lambda source: whole[source] - n * shares[source])
    for source in by_remainder[: n - sum(whole.values())]:
        whole[source] += 1
    return [Quota(source, number) for source, number in whole.items()]


def sources_config(place: Place, selection: SelectionSettings) -> dict[str, object]:
    """What a selection's name stands for, as far as its sources go.

    Options are part of it where they are not as declared. Raises as the sources' `config`.
    """
    config: dict[str, Any] = {
        # In order: it matters, and two tables that differ in it are equal in JSON.
        "non_activating_source": [list(item) for item in selection.non_activating_source.items()]
    }
    for name in selection.non_activating_source:
        needed = _source(name, selection).config(place, selection)
        for key, value in needed.items():
            before = config.get(key, {})
            config[key] = {**before, **value} if isinstance(value, dict) else value
        if others := told_of(SOURCES, _OPTIONS, selection.options, name):
            config["options"] = {**config.get("options", {}), name: others}
    return config


def open_sources(place: Place, tables: HookpointTables, selection: SelectionSettings) -> Sources:
    """The sources of a selection, opened; raises as their `open`."""
    where = SourcePlace(place.profile, place.lake, place.hookpoint, tables, selection)
    opened = {
        name: _source(name, selection).open(where) for name in selection.non_activating_source
    }
    return Sources(where, quotas(selection), opened)


def _source(name: str, selection: SelectionSettings) -> WindowSource:
    return made(SOURCES, WindowSource, _OPTIONS, selection.options, name)
