"""Delphi's run directory: which files there are, and what they are about.

In: `results/<name>`, or a bare `latents` folder. Out: a `DelphiRun`. No tensor is read.

    run_config.json                                settings of the run
    latents/<hookpoint>/config.json                settings of the cache, see `cache_config`
    latents/<hookpoint>/<first>_<last>.safetensors activations of latents first to last, inclusive
    explanations/<hookpoint>_latent<i>.txt         a JSON string
    scores/<scorer>/<hookpoint>_latent<i>.txt      a JSON list, an object for each window

A "/" in a hookpoint is "--" in the names of score files; here it is "--" everywhere.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from delphi_assets.coders.files import read_json
from delphi_assets.delphi_runs.cache_config import CacheConfig, read_cache_config
from delphi_assets.errors import DataError
from delphi_assets.ground.local_paths import is_folder
from delphi_assets.latent_ranges import LAST_LATENT

SCORERS = ("detection", "fuzz")
UNPARSED = "Explanation could not be parsed."
"""The text that Delphi stores when the explainer's answer holds no explanation."""

_READ_HERE = ("latents", "explanations", "scores", "run_config.json")


class SplitFile(NamedTuple):
    """A file of activations and its latents, half open: first <= latent < last."""

    path: Path
    first: int
    last: int


class CachedHookpoint(NamedTuple):
    """A hookpoint and the files that hold its activations, in order of latent."""

    hookpoint: str
    splits: tuple[SplitFile, ...]

    @property
    def num_latents(self) -> int:
        """Latents of the coder."""
        return self.splits[-1].last


class LatentFile(NamedTuple):
    """A text file about one latent."""

    path: Path
    hookpoint: str
    latent: int


@dataclass(frozen=True)
class DelphiRun:
    """The files of a run. `run_config` is empty for a bare `latents` folder."""

    cache: CacheConfig
    hookpoints: tuple[CachedHookpoint, ...]
    run_config: dict[str, Any]
    explanations: tuple[LatentFile, ...]
    scores: dict[str, tuple[LatentFile, ...]]
    left_out: tuple[str, ...]
    """Files and folders of the run that have no table to go to."""


def read_layout(folder: Path) -> DelphiRun:
    """The run in `folder`.

    Raises `DataError` naming the file when a configuration or a split is missing, splits overlap,
    a key is unknown, hookpoints were cached with different settings, or a text file is about a
    latent that there is not, or that another file of its folder is about.
    """
    latents = folder / "latents" if is_folder(folder / "latents") else folder
    folders = sorted(
        {path.parent for name in ("*.safetensors", "config.json") for path in latents.rglob(name)}
    )
    if not folders:
        raise DataError(
            f"{folder} holds no activations; expected Delphi's results/<name>, or its folder "
            "latents, with <hookpoint>/config.json and <hookpoint>/<first>_<last>.safetensors."
        )
    configs = [read_cache_config(path / "config.json") for path in folders]
    for path, config in zip(folders, configs, strict=True):
        if config.shared != configs[0].shared:
            raise DataError(
                f"{path / 'config.json'} says {config.shared}, but {folders[0] / 'config.json'} "
                f"says {configs[0].shared}; expected hookpoints cached together. Import them as "
                "two runs."
            )
    hookpoints = tuple(
        CachedHookpoint(_hookpoint_name(path, latents), _splits(path, config.n_splits))
        for path, config in zip(folders, configs, strict=True)
    )
    bare = latents == folder
    has_config = not bare and (folder / "run_config.json").is_file()
    scores = {name: () if bare else _latent_files(folder / "scores" / name) for name in SCORERS}
    run = DelphiRun(
        cache=configs[0],
        hookpoints=hookpoints,
        run_config=read_json(folder / "run_config.json") if has_config else {},
        explanations=() if bare else _latent_files(folder / "explanations"),
        scores=scores,
        left_out=() if bare else _left_out(folder),
    )
    _check_latents(run)
    return run


def _hookpoint_name(folder: Path, latents: Path) -> str:
    return folder.relative_to(latents).as_posix().replace("/", "--")


def _splits(folder: Path, n_splits: int | None) -> tuple[SplitFile, ...]:
    splits = sorted(
        (_split(path) for path in folder.glob("*.safetensors")), key=lambda split: split.first
    )
    reached = 0
    for split in splits:
        if split.first != reached:
            what = "is missing" if split.first > reached else "overlaps the file before it"
            where = f"a file that begins at latent {reached} {what}"
            raise DataError(f"{split.path} begins at latent {split.first}: {where}.")
        reached = split.last
    if not splits or (n_splits is not None and len(splits) != n_splits):
        raise DataError(
            f"{folder} holds {len(splits)} split files, up to latent {reached - 1}, but "
            f"config.json says n_splits = {n_splits}; the cache was not written to its end, or "
            "files were lost."
        )
    return tuple(splits)


def _split(path: Path) -> SplitFile:
    match = re.fullmatch(r"([0-9]{1,10})_([0-9]{1,10})", path.stem)
    if match is None or not int(match[1]) <= int(match[2]) <= LAST_LATENT:
        raise DataError(
            f"{path} is not named as a split of Delphi's; expected <first>_<last>.safetensors with "
            f"first <= last <= {LAST_LATENT}, as its save_splits writes."
        )
    return SplitFile(path, int(match[1]), int(match[2]) + 1)


def _latent_files(folder: Path) -> tuple[LatentFile, ...]:
    files = []
    for path in sorted(folder.rglob("*.txt")):
        name = path.relative_to(folder).as_posix().replace("/", "--")
        match = re.fullmatch(r"(.+)_latent([0-9]{1,10})\.txt", name)
        if match is None:
            raise DataError(f"{path} is not named <hookpoint>_latent<number>.txt; rename it.")
        files.append(LatentFile(path, match[1], int(match[2])))
    files.sort(key=lambda file: (file.hookpoint, file.latent))
    for before, file in pairwise(files):
        if (before.hookpoint, before.latent) == (file.hookpoint, file.latent):
            raise DataError(
                f"{file.path} and {before.path} are both about latent {file.latent} of "
                f"{file.hookpoint!r}; expected one file. Remove the one that is out of date."
            )
    return tuple(files)


def _left_out(folder: Path) -> tuple[str, ...]:
    names = [path.name for path in folder.iterdir() if path.name not in _READ_HERE]
    scorers = folder / "scores"
    if scorers.is_dir():
        names += [f"scores/{path.name}" for path in scorers.iterdir() if path.name not in SCORERS]
    return tuple(sorted(names))


def _check_latents(run: DelphiRun) -> None:
    """Refuse texts about latents that were not cached, and scores of explanations not there."""
    widths = {cached.hookpoint: cached.num_latents for cached in run.hookpoints}
    explained = {(file.hookpoint, file.latent) for file in run.explanations}
    for file in (*run.explanations, *(file for files in run.scores.values() for file in files)):
        if file.latent >= widths.get(file.hookpoint, 0):
            raise DataError(
                f"{file.path} is about latent {file.latent} of {file.hookpoint!r}; the hookpoints "
                f"cached here and their numbers of latents are {widths}."
            )
        if (file.hookpoint, file.latent) not in explained:
            raise DataError(
                f"{file.path} scores an explanation that is not in the folder explanations; "
                "restore that file, or remove this one."
            )
