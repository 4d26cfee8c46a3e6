"""Explainers by name. In: a name. Out: the `Explainer`.

To add one's own, write a function from a latent's record to a text and call
`register("my_explainer", my_function)` before the stage runs; or give its place,
`"my_package.my_module:my_function"`, wherever an explainer's name is expected, in a profile or in
the Launchpad. The record holds train windows only. An explainer that asks an LLM is a
`functions.PromptExplainer` of a function that returns the messages. Rows carry the name under which
the explainer was called, and its version: a function that was changed is asked again when it is
registered as another version.

Explainers are imported when they are used.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from delphi_assets.errors import SettingError
from delphi_assets.ground.registries import EXPLAINERS

if TYPE_CHECKING:
    from delphi_assets.explainers.explainer import Explainer
    from delphi_assets.reading.records import LatentRecord

    Explains: TypeAlias = Explainer | Callable[[LatentRecord], str]

known = EXPLAINERS.known


def register(name: str, explains: "Explains", version: str = "1") -> None:
    """Make an explainer known as `name`; one registered before under that name is replaced.

    `version` goes with a function: another one makes its explanations others. Raises `SettingError`
    for the name of a shipped explainer.
    """
    EXPLAINERS.register(name, _explainer(name, explains, version))


def make(name: str) -> "Explainer":
    """The explainer `name`.

    Raises `SettingError` for an unknown name, or a place where there is no explainer.
    """
    return _explainer(name, EXPLAINERS.find(name), "1")


def _explainer(name: str, explains: "Explains", version: str) -> "Explainer":
    from delphi_assets.explainers.explainer import Explainer
    from delphi_assets.explainers.functions import FunctionExplainer

    if isinstance(explains, Explainer):
        return explains
    if not callable(explains):
        raise SettingError(
            f"the explainer {name!r} is a {type(explains).__name__}; expected an Explainer, or a "
            "function from a LatentRecord to a text."
        )
    return FunctionExplainer(explains, version)
