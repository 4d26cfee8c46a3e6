"""Whether the latents that a stage is asked for are there at all.

In: a hookpoint and latents as a launch names them. Out: nothing, or a `SettingError` that says how
many there are (`check_latents`), before anything is loaded or asked.
"""

from delphi_assets.errors import SettingError
from delphi_assets.lake import database
from delphi_assets.lake.place import Place
from delphi_assets.latent_ranges import Latents, as_text


def check_latents(place: Place, latents: Latents) -> None:
    """Refuse ranges that begin behind the hookpoint's last latent; raises `SettingError`.

    Where the table latents is not there, nobody knows.
    """
    if not latents.ranges:
        return
    with database.connect(place.lake, up_to_date=False) as con:
        [there] = database.query(
            con, "explanations/known_latents", run=place.run, hookpoint=place.hookpoint
        ).to_pylist()
    last = there["last_latent"]
    behind = [span for span in latents.ranges if last is not None and span[0] > last]
    if behind:
        raise SettingError(
            f"latents = {as_text(latents)!r}: {as_text(Latents(tuple(behind)))} is not there; run "
            f"{place.run!r} has {there['n_latents']} latents at {place.hookpoint!r}, expected some "
            f"of 0-{last}."
        )
