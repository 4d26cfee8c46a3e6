"""A profile run from its first stage to its last, by the library or by a framework.

In: a profile file. Out: what came of each step, as it ends. A stage does only what is missing, so
running again continues, or finds everything there.

A framework that keeps a history of runs takes part by an entry point of the group
`delphi_assets.runners`: a `Runner`. This library imports none by itself; where one cannot be
imported, as its framework is not installed, the library runs the stages itself.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from delphi_assets.errors import SettingError
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.registries import RUNNERS
from delphi_assets.lake.lake import Lake
from delphi_assets.runs import library
from delphi_assets.runs.order import Outcome, Step
from delphi_assets.settings import Profile

LIBRARY = "library"


class Opened(NamedTuple):
    """A runner at work."""

    told: str
    """Where it keeps its history, for the first line."""
    run: Callable[[Step], Outcome]


Runner: TypeAlias = Callable[[Path, Profile, Lake], AbstractContextManager[Opened]]
"""Opens for the profile of a file and its lake; what it gives runs one step after the other."""


def runner(name: str | None = None) -> Runner:
    """The runner of that name, or at a place `package.module:name`; without a name the one
    that is installed, else the library's.

    Raises `SettingError` for a name that is not known, or whose framework is not installed.
    """
    wanted = name or min(RUNNERS.offered(), default=LIBRARY)
    try:
        found: Runner = RUNNERS.find(wanted)
    except SettingError as error:
        missing = error.__cause__
        if not isinstance(missing, ModuleNotFoundError):
            raise
        if name is None:
            return by_library
        raise SettingError(
            f"the runner {name!r} needs the module {missing.name!r}, which is not installed; "
            f"install it, or take the runner {LIBRARY!r}."
        ) from missing
    return found


@contextmanager
def by_library(file: Path, profile: Profile, lake: Lake) -> Iterator[Opened]:
    """Runs steps in this process; errors of a stage pass through, and SIGTERM is as Ctrl-C."""

    with terminable():
        yield Opened("no history beside the lake", partial(library.run, profile, lake))
