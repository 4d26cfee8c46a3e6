"""Scorers by name. In: a name and what is scored. Out: the `Scorer`.

A name stands for a *factory*: a function of a `Scoring` that returns a `Scorer`. To add one's own,
write such a function and call `register("my_scorer", my_factory)` before the stage runs; or give
its place, `"my_package.my_module:my_factory"`, wherever a scorer's name is expected, in a profile
or in the Launchpad. Its predictions and scores stand beside the others', under the `name` of the
`Scorer` it returns. `detection` is a good one to start from.

Factories are imported when they are used: no scorer loads what another one needs.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from delphi_assets.ground.registries import SCORERS

if TYPE_CHECKING:
    from delphi_assets.scorers.work.scorer import Scorer
    from delphi_assets.scorers.work.scoring import Scoring

    Factory = Callable[[Scoring], Scorer[Any]]

known = SCORERS.known


def register(name: str, factory: "Factory") -> None:
    """Make `factory` known as `name`; one registered before under that name is replaced.

    Raises `SettingError` for the name of a shipped scorer.
    """
    SCORERS.register(name, factory)


def make(name: str, scoring: "Scoring") -> "Scorer[Any]":
    """The scorer `name` for `scoring`.

    Raises `SettingError` for an unknown name, a place where there is no factory, or settings that
    the scorer cannot work with.
    """
    factory: Factory = SCORERS.find(name)
    return factory(scoring)
