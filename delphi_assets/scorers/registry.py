"""Scorers by name. In: a name and what is scored. Out: the `Scorer`.

A name stands for a *factory*: a function of a `Scoring` that returns a `Scorer`. To add one's own,
write such a function and call `register("my_scorer", my_factory)` before the stage runs; or give
its place, `"my_package.my_module:my_factory"`, wherever a scorer's name is expected, in a profile
or in the Launchpad. Its predictions and scores stand beside the others', under the `name` of the
`Scorer` it returns. `detection` is a good one to start from.

Factories are imported when they are used: no scorer loads what another one needs.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from delphi_assets.errors import SettingError

if TYPE_CHECKING:
    # The settings check names against this module.
    from delphi_assets.scorers.scorer import Scorer
    from delphi_assets.scorers.scoring import Scoring

    Factory = Callable[[Scoring], Scorer[Any]]

_PLACES = {
    "detection": "delphi_assets.scorers.detection:detection",
    "fuzz": "delphi_assets.scorers.fuzz:fuzz",
    "intruder": "delphi_assets.scorers.intruder:intruder",
    "discrimination": "delphi_assets.scorers.discrimination:discrimination",
    "simulation": "delphi_assets.scorers.simulation:simulation",
    "surprisal": "delphi_assets.scorers.surprisal:surprisal",
    "embedding": "delphi_assets.scorers.embedding:embedding",
    "example_embedding": "delphi_assets.scorers.example_embedding:example_embedding",
}
_REGISTERED: "dict[str, Factory]" = {}


def register(name: str, factory: "Factory") -> None:
    """Make `factory` known as `name`; one registered before under that name is replaced.

    Raises `SettingError` for the name of a shipped scorer.
    """
    if name in _PLACES:
        raise SettingError(
            f"a scorer {name!r} comes with delphi-assets; expected a name other than {known()}."
        )
    _REGISTERED[name] = factory


def known() -> list[str]:
    """Names of the scorers there are."""
    return sorted({*_PLACES, *_REGISTERED})


def is_known(name: str) -> bool:
    """Whether `name` is a scorer's, or says where one is to be found."""
    return name in _PLACES or name in _REGISTERED or ":" in name


def make(name: str, scoring: "Scoring") -> "Scorer[Any]":
    """The scorer `name` for `scoring`.

    Raises `SettingError` for an unknown name, a place where there is no factory, or settings that
    the scorer cannot work with.
    """
    if name in _REGISTERED:
        return _REGISTERED[name](scoring)
    module, colon, function = _PLACES.get(name, name).partition(":")
    if not colon:
        raise SettingError(
            f"there is no scorer {name!r}; expected one of {known()}, or "
            "'package.module:function' for one of your own."
        )
    try:
        factory: Factory = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise SettingError(
            f"the scorer {name!r} cannot be imported: {error}; expected 'package.module:function', "
            "of a module that this Python finds."
        ) from error
    return factory(scoring)
