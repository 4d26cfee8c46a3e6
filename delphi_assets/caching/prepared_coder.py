"""The coder of a hookpoint as the stages read it: where it is, and whether it is still the same.

In: a place, and the table `weights`, whose facts hold the coder's fingerprint. Out:
the coder, or an error that names what is missing or was replaced. A floor is made when it is read,
from the files of the coder that it is a floor of.

`load_described` refuses a coder that the table does not describe, and so does `check_unchanged`,
which loads nothing: what fires in one part of a run and in the next is of one coder, and a run that
is done does not pass for one of a coder that was trained again in the same place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from delphi_assets.caching import origins
from delphi_assets.coders import files_at_hand, load_coder, reading_of
from delphi_assets.coders.coder import Coder, Encoder
from delphi_assets.coders.floors import floor_fingerprint, floor_of
from delphi_assets.coders.sources import setting_of
from delphi_assets.errors import NotReadyError
from delphi_assets.ground.machine_cache import fingerprint
from delphi_assets.lake.lake import Manifest
from delphi_assets.lake.manifests import FINGERPRINT
from delphi_assets.lake.place import Place
from delphi_assets.settings import FLOORS, TRAIN


@contextmanager
def coder_source(place: Place) -> Iterator[str | Path]:
    """Where the hookpoint's coder can be loaded from: the profile's, or a trained one's folder.

    Of a floor it is that of the coder it is made from. Raises `NotReadyError` when it is to be
    trained and has not been.
    """
    place = read_at(place)
    source = place.profile.sparse_model_of(place.hookpoint)
    if source != TRAIN:
        yield source
        return
    folder = trained_folder(place)
    if not place.lake.exists(folder):
        raise NotReadyError(
            f"{place.lake!r} holds no trained coder of hookpoint {place.hookpoint!r} in run "
            f"{place.run!r}; materialize the asset 'sparse_coder' first."
        )
    with place.lake.local_copy(folder) as copy:
        yield copy


def load_prepared(
    place: Place,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Coder:
    """The hookpoint's coder, whoever trained it; raises as `coder_source` and `load_coder`."""
    profile, hookpoint = place.profile, place.hookpoint
    with coder_source(place) as source:
        reading = reading_of(profile, hookpoint)
        coder = load_coder(source, profile.read_as(hookpoint), device, dtype, reading)
    floor = profile.sparse_model_of(hookpoint)
    return floor_of(coder, floor, profile.run.seed) if floor in FLOORS else coder


def load_described(
    place: Place, device: torch.device | str = "cpu", *, weights: Manifest | None = None
) -> Encoder:
    """Encoder, in the precision `coder.dtype`, of `described_coder`; raises as that."""
    dtype = getattr(torch, place.profile.coder.dtype)
    return described_coder(place, device, dtype, weights=weights).encoder


def described_coder(
    place: Place,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    weights: Manifest | None = None,
) -> Coder:
    """The coder that the hookpoint's table `weights` describes, which is read unless given.

    Raises `NotReadyError` without that table, `ConflictError` when the coder has changed since,
    and what `coder_source` raises.
    """
    weights = weights or place.weights()
    if weights is None:
        raise NotReadyError(
            f"{place.lake!r} holds no weights of hookpoint {place.hookpoint!r} in run "
            f"{place.run!r}; materialize the asset 'sparse_coder' first."
        )
    coder = load_prepared(place, device, dtype)
    check_fingerprint(place, weights, coder.fingerprint)
    return coder


def check_unchanged(place: Place, weights: Manifest | None) -> None:
    """Refuse to go on when the hookpoint's data are of another coder or model than is there now.

    `weights` are what is known of that table. Costs a look at the files. What is not on this
    machine is not compared. Raises `ConflictError`.
    """
    origins.check_model(place, weights)
    if weights is None or FINGERPRINT not in weights.facts:
        return
    if files := files_here(place):
        now, source = fingerprint(files), place.profile.sparse_model_of(place.hookpoint)
        if source in FLOORS:
            now = floor_fingerprint(now, source, place.profile.run.seed)
        check_fingerprint(place, weights, now)


def files_here(place: Place) -> list[Path]:
    """The coder's files, where this machine has them without fetching any; else none.

    Of a floor they are those of the coder it is made from.
    """
    place = read_at(place)
    source: str | Path = place.profile.sparse_model_of(place.hookpoint)
    if source == TRAIN:
        folder = place.lake.local_path(trained_folder(place))
        if folder is None:
            return []
        source = folder
    reading = reading_of(place.profile, place.hookpoint)
    return files_at_hand(source, place.hookpoint, reading)


def check_fingerprint(place: Place, made: Manifest, now: str) -> None:
    """Refuse a unit that was made with another coder than the one that has fingerprint `now`.

    Raises `ConflictError`.
    """
    if made.facts.get(FINGERPRINT) != now:
        source = place.profile.sparse_model_of(place.hookpoint)
        where = f"{setting_of(place.hookpoint)} = {source!r}"
        raise origins.replaced_coder(place.hookpoint, where, made, now)


def read_at(place: Place) -> Place:
    """The place whose coder's files are read: of a floor the one of its trained coder."""
    return place.at(place.profile.read_as(place.hookpoint))


def trained_folder(place: Place) -> str:
    """The folder of the lake that a coder trained on the run is kept in."""
    return f"coders/run={place.run}/{place.hookpoint}"
