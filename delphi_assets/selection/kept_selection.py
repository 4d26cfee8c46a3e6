"""A selection that is there, after code or data before it have changed: its windows stay or not.

In: what is known of its buckets. Out: what has changed since, in words, and whether answers stand
on the windows. Windows on which none do are drawn again; on others an answer that was paid for
would lose what it says something of, so they stay, and the new ones get another name.
"""

from collections.abc import Mapping, Sequence

from delphi_assets.caching.published import held_buckets
from delphi_assets.lake.database import connect, query
from delphi_assets.lake.manifests import DRAWN_FROM, Manifest
from delphi_assets.lake.place import Place
from delphi_assets.lake.versions import Inputs, changes


def as_drawn(published: Manifest, config: Mapping[str, object]) -> dict[str, object]:
    """`config` with the neighbours that the windows were drawn from: they may be others now."""
    drawn = published.config.get(DRAWN_FROM)
    return {**config, **({DRAWN_FROM: drawn} if DRAWN_FROM in config else {})}


def changes_since(
    place: Place, made: Sequence[Manifest], config: Mapping[str, object]
) -> list[str]:
    """Why the windows of these buckets would come out otherwise now; nothing when they would not.

    `config` is what the selection's name stands for now.
    """
    made_from: Inputs = {"activations": held_buckets(place)} if made else {}
    told = {change for examples in made for change in changes(examples, made_from)}
    if any(examples.config.get(DRAWN_FROM) != config.get(DRAWN_FROM) for examples in made):
        told.add("drawn from other neighbours than are there now")
    return sorted(told)


def is_answered(place: Place, selection: str) -> bool:
    """Whether an explainer or a judge has answered on the selection's windows."""
    with connect(place.lake, up_to_date=False) as con:
        [row] = query(
            con, "versions/answers", run=place.run, hookpoint=place.hookpoint, selection=selection
        ).to_pylist()
    return bool(row["n_answers"])


def told_of(selection: str, changed: Sequence[str]) -> str | None:
    """What to say of windows that stay though something has changed."""
    if not changed:
        return None
    return (
        f"{'; '.join(changed)}. The windows of selection {selection!r} stay as they are, since "
        "answers stand on them; select them anew under another name (selection.name)."
    )
