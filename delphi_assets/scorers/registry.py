"""Scorers by name. In: a name and what is scored. Out: the `Scorer`.

A name stands for a *factory*: a function of a `Scoring` that returns a `Scorer`. To add one's own,
write such a function and call `register("my_scorer", my_factory)` before the stage runs; or give
its place, `"my_package.my_module:my_factory"`, wherever a scorer's name is expected, in a profile
or in the Launchpad. An installed package offers it as an entry point of the group
`delphi_assets.scorers`. Its predictions and scores stand beside the others', under the `name` of
the `Scorer` it returns. `detection` is a good one to start from.

A factory may take options of its own, a second parameter `options` (`settings.options`): they come
from `score.options`, and are part of the hash under which answers are stored.

Factories are imported when they are used: no scorer loads what another one needs.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from delphi_assets.errors import SettingError
from delphi_assets.ground.registries import SCORERS
from delphi_assets.settings.options import options_for, told

if TYPE_CHECKING:
    from delphi_assets.scorers.work.scorer import Scorer
    from delphi_assets.scorers.work.scoring import Scoring

    Factory = Callable[..., Scorer[Any]]

known = SCORERS.known


def register(name: str, factory: "Factory") -> None:
    """Make `factory` known as `name`; one registered before under that name is replaced.

    Raises `SettingError` for the name of a shipped scorer.
    """
    SCORERS.register(name, factory)


def make(name: str, scoring: "Scoring") -> "Scorer[Any]":
    """The scorer `name` for `scoring`.

    Raises `SettingError` for an unknown name, a place where there is no factory, or settings or
    options that the scorer cannot work with.
    """
    from delphi_assets.scorers.work.scorer import Scorer

    factory: Callable[..., object] = SCORERS.find(name)
    options = options_for(SCORERS, "score.options", scoring.settings.options, name, factory)
    made = factory(scoring) if options is None else factory(scoring, options=options)
    if not isinstance(made, Scorer):
        raise SettingError(
            f"the scorer {name!r} is a function that gave a {type(made).__name__}; expected a "
            "Scorer."
        )
    return replace(made, options=told(options))
