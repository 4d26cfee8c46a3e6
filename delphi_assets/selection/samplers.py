"""Samplers: which activating windows are shown to explainers, and which are left to scorers.

In: the temporary table pool, the windows of each latent that can be drawn; a selection. Out:

1. The temporary table train: windows drawn by `selection.train_type`.
2. The temporary table held_out: what train left over, in the bins of `selection.test_type`. Test
   windows are drawn from it, equally many of each bin.

A name stands for a `Sampler`: those that come with delphi-assets are here, and `ground.registries`
says how one of one's own gets its name. What one's own gives is checked.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import duckdb

from delphi_assets.errors import DataError
from delphi_assets.ground.registries import TEST_SAMPLERS, TRAIN_SAMPLERS
from delphi_assets.ground.registry import Registry
from delphi_assets.lake.database import Parameter, execute_file, query, statement_path
from delphi_assets.settings import SelectionSettings
from delphi_assets.settings.options import made, told_of

_OPTIONS = "selection.options"


class Sampler(ABC):
    """A statement that draws windows, and what it is asked with."""

    @property
    @abstractmethod
    def statement(self) -> Path:
        """File of the statement.

        A train sampler's makes the temporary table train: latent, place, quantile. A test sampler's
        makes held_out: latent, place, position, quantile, draw.
        """

    def parameters(self, selection: SelectionSettings) -> Mapping[str, Parameter]:
        """The statement's parameters, each of which it has to use."""
        return {}


class _Shipped(Sampler):
    """A statement of `sql/`, asked with settings of the selection."""

    def __init__(self, name: str, *settings: str) -> None:
        self._name, self._settings = name, settings

    @property
    def statement(self) -> Path:
        """The file in `sql/`."""
        return statement_path(self._name)

    def parameters(self, selection: SelectionSettings) -> Mapping[str, Parameter]:
        """These settings, under their names."""
        return {name: getattr(selection, name) for name in self._settings}


TOP = _Shipped("examples/3_train/train_top", "n_examples_train")
RANDOM = _Shipped("examples/3_train/train_random", "n_examples_train")
QUANTILES = _Shipped("examples/3_train/train_quantiles", "n_examples_train")
MIX = _Shipped("examples/3_train/train_mix", "n_examples_train", "ratio_top")
HELD_OUT_QUANTILES = _Shipped("examples/4_test/held_out_quantiles")
HELD_OUT_ACTIVATIONS = _Shipped("examples/4_test/held_out_activations", "n_quantiles")


class _Role(NamedTuple):
    """What a sampler is for."""

    registry: Registry
    misfits: str
    """Statement that tells of a latent with windows that cannot be given."""
    settings: tuple[str, ...]
    """Its parameters."""
    expected: str


_TRAIN = _Role(
    TRAIN_SAMPLERS,
    "examples/3_train/train_misfits",
    ("n_examples_train",),
    "at most selection.n_examples_train, each once, with latent, place and quantile of the table "
    "pool",
)
_TEST = _Role(
    TEST_SAMPLERS,
    "examples/4_test/held_out_misfits",
    (),
    "windows of the table pool that are not in the table train, each once, with a quantile and a "
    "draw",
)


def samplers_config(selection: SelectionSettings) -> dict[str, object]:
    """What a selection's name stands for, as far as options of samplers go.

    Nothing where they are as declared.
    """
    by_split = {
        "train": told_of(TRAIN_SAMPLERS, _OPTIONS, selection.options, selection.train_type),
        "test": told_of(TEST_SAMPLERS, _OPTIONS, selection.options, selection.test_type),
    }
    told = {split: others for split, others in by_split.items() if others}
    return {"sampler_options": told} if told else {}


def draw_train(con: duckdb.DuckDBPyConnection, selection: SelectionSettings) -> None:
    """Make the table train.

    Raises `SettingError` for what is no sampler, `DataError` for windows that cannot be shown.
    """
    _draw(con, selection, selection.train_type, _TRAIN)


def hold_out(con: duckdb.DuckDBPyConnection, selection: SelectionSettings) -> None:
    """Make the table held_out; raises as `draw_train`."""
    _draw(con, selection, selection.test_type, _TEST)


def _draw(
    con: duckdb.DuckDBPyConnection, selection: SelectionSettings, name: str, role: _Role
) -> None:
    sampler = made(role.registry, Sampler, _OPTIONS, selection.options, name)
    path, asked = sampler.statement, dict(sampler.parameters(selection))
    if name in role.registry.shipped():
        execute_file(con, path, **asked)
        return
    settings = {setting: getattr(selection, setting) for setting in role.settings}
    try:
        execute_file(con, path, **asked)
        odd = query(con, role.misfits, **settings).to_pylist()
    except duckdb.Error as error:
        raise DataError(
            f"the {role.registry.kind} {name!r} cannot draw by {path}: "
            f"{str(error).splitlines()[0]}; mend that statement."
        ) from error
    if odd:
        latent, n_given, n_fitting = odd[0].values()
        raise DataError(
            f"the {role.registry.kind} {name!r} gave {n_given} windows to latent {latent}, "
            f"{n_fitting} of them different and such as can be given; expected {role.expected}."
        )
