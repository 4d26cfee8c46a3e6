"""A profile run from its first stage to its last, by the library or by a framework.

In: a profile file. Out: what came of each step, as it ends. A stage does only what is missing, so
running again continues, or finds everything there.

A framework that keeps a history of runs takes part by an entry point of the group `GROUP`: a
`Runner`. This library imports none by itself; where one cannot be imported, as its framework is
not installed, the library runs the stages itself.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, TypeAlias

from delphi_assets.errors import SettingError
from delphi_assets.ground.interrupts import terminable
from delphi_assets.lake.lake import Lake
from delphi_assets.runs import library
from delphi_assets.runs.order import Outcome, Step
from delphi_assets.settings import Profile

GROUP = "delphi_assets.runners"
LIBRARY = "library"


class Opened(NamedTuple):
    """A runner at work."""

    told: str
    """Where it keeps its history, for the first line."""
    run: Callable[[Step], Outcome]


Runner: TypeAlias = Callable[[Path, Profile, Lake], AbstractContextManager[Opened]]
"""Opens for the profile of a file and its lake; what it gives runs one step after the other."""


def runner(name: str | None = None) -> Runner:
    """The runner of that name, or at a place `package.module:function`; without a name the one
    that is installed, else the library's.

    Raises `SettingError` for a name that is not known, or whose framework is not installed.
    """
    known = {one.name: one for one in metadata.entry_points(group=GROUP)}
    if name == LIBRARY or (name is None and not known):
        return by_library
    if name is not None and ":" in name:
        known[name] = metadata.EntryPoint(name, name, GROUP)
    if name is not None and name not in known:
        raise SettingError(
            f"there is no runner {name!r}; expected one of {[LIBRARY, *sorted(known)]}, or "
            "'package.module:function' for one of your own."
        )
    try:
        found: Runner = known[name or min(known)].load()
    except ModuleNotFoundError as error:
        if name is None:
            return by_library
        raise SettingError(
            f"the runner {name!r} needs the module {error.name!r}, which is not installed; install "
            f"it, or take the runner {LIBRARY!r}."
        ) from error
    return found


@contextmanager
def by_library(file: Path, profile: Profile, lake: Lake) -> Iterator[Opened]:
    """Runs steps in this process; errors of a stage pass through, and SIGTERM is as Ctrl-C."""

    with terminable():
        yield Opened("no history beside the lake", partial(library.run, profile, lake))
