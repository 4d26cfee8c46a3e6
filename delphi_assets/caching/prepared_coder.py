"""The coder of a hookpoint as the stages read it: where it is, and whether it is still the same.

In: a profile, a hookpoint, and the table `weights`, whose facts hold the coder's fingerprint. Out:
the coder, or an error that names what is missing or was replaced.

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
from delphi_assets.coders.sources import setting_of
from delphi_assets.errors import NotReadyError
from delphi_assets.ground.machine_cache import fingerprint
from delphi_assets.lake.lake import Lake, Manifest
from delphi_assets.lake.manifests import FINGERPRINT
from delphi_assets.lake.units import weights_unit
from delphi_assets.settings import TRAIN, Profile


@contextmanager
def coder_source(profile: Profile, lake: Lake, hookpoint: str) -> Iterator[str | Path]:
    """Where the hookpoint's coder can be loaded from: the profile's, or a trained one's folder.

    Raises `NotReadyError` when it is to be trained and has not been.
    """
    source = profile.sparse_model_of(hookpoint)
    if source != TRAIN:
        yield source
        return
    folder = trained_folder(profile, hookpoint)
    if not lake.exists(folder):
        raise NotReadyError(
            f"{lake!r} holds no trained coder of hookpoint {hookpoint!r} in run "
            f"{profile.run.name!r}; materialize the asset 'sparse_coder' first."
        )
    with lake.local_copy(folder) as copy:
        yield copy


def load_prepared(
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Coder:
    """The hookpoint's coder, whoever trained it; raises as `coder_source` and `load_coder`."""
    with coder_source(profile, lake, hookpoint) as source:
        return load_coder(source, hookpoint, device, dtype, reading_of(profile, hookpoint))


def load_described(
    profile: Profile, lake: Lake, hookpoint: str, device: torch.device | str = "cpu"
) -> Encoder:
    """Encoder, in the precision `coder.dtype`, of `described_coder`; raises as that."""
    dtype = getattr(torch, profile.coder.dtype)
    return described_coder(profile, lake, hookpoint, device, dtype).encoder


def described_coder(
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Coder:
    """The coder that the hookpoint's table `weights` describes.

    Raises `NotReadyError` without that table, `ConflictError` when the coder has changed since,
    and what `coder_source` raises.
    """
    manifest = lake.manifest(weights_unit(profile.run.name, hookpoint))
    if manifest is None:
        raise NotReadyError(
            f"{lake!r} holds no weights of hookpoint {hookpoint!r} in run {profile.run.name!r}; "
            "materialize the asset 'sparse_coder' first."
        )
    coder = load_prepared(profile, lake, hookpoint, device, dtype)
    check_fingerprint(profile, manifest, hookpoint, coder.fingerprint)
    return coder


def check_unchanged(profile: Profile, lake: Lake, hookpoint: str) -> None:
    """Refuse to go on when the hookpoint's data are of another coder or model than is there now.

    Costs a look at the files. What is not on this machine is not compared. Raises `ConflictError`.
    """
    origins.check_model(profile, lake, hookpoint)
    made = lake.manifest(weights_unit(profile.run.name, hookpoint))
    if made is None or FINGERPRINT not in made.facts:
        return
    if files := files_here(profile, lake, hookpoint):
        check_fingerprint(profile, made, hookpoint, fingerprint(files))


def files_here(profile: Profile, lake: Lake, hookpoint: str) -> list[Path]:
    """The coder's files, where this machine has them without fetching any; else none."""
    source: str | Path = profile.sparse_model_of(hookpoint)
    if source == TRAIN:
        folder = lake.local_path(trained_folder(profile, hookpoint))
        if folder is None:
            return []
        source = folder
    return files_at_hand(source, hookpoint, reading_of(profile, hookpoint))


def check_fingerprint(profile: Profile, made: Manifest, hookpoint: str, now: str) -> None:
    """Refuse a unit that was made with another coder than the one that has fingerprint `now`.

    Raises `ConflictError`.
    """
    if made.facts.get(FINGERPRINT) != now:
        where = f"{setting_of(hookpoint)} = {profile.sparse_model_of(hookpoint)!r}"
        raise origins.replaced_coder(hookpoint, where, made, now)


def trained_folder(profile: Profile, hookpoint: str) -> str:
    """The folder of the lake that a coder trained on the run is kept in."""
    return f"coders/run={profile.run.name}/{hookpoint}"
