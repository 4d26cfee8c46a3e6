"""Explainers by name. In: a name. Out: the `Explainer`.

To add one's own, write a function from a latent's record to a text and call
`register("my_explainer", my_function)` before the stage runs; or give its place,
`"my_package.my_module:my_function"`, wherever an explainer's name is expected, in a profile or in
the Launchpad. Texts that are there already are a mapping by latent in its place. The record holds
train windows only. An explainer that asks an LLM is a `functions.PromptExplainer` of a function
that returns the messages. Rows carry the name under which the explainer was called, and its
version. A function is called again by each run, and another text of it is another explanation; with
another version every text is. An installed package offers an explainer as an entry point of the
group `delphi_assets.explainers`.

A function may take options of its own, a second parameter `options` (`settings.options`), and so
may a class of `Explainer`s when one is made of it: they come from `explain.options`, and are part
of the hash under which explanations are stored.

Explainers are imported when they are used.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from delphi_assets.errors import SettingError
from delphi_assets.ground.registries import EXPLAINERS
from delphi_assets.ground.shown_values import shown
from delphi_assets.settings.options import Options, Tables, options_for, told

if TYPE_CHECKING:
    from delphi_assets.explainers.explainer import Explainer

    Explains: TypeAlias = Explainer | Callable[..., Any] | Mapping[int, str]
    """An explainer, a class of them, a function from a `LatentRecord` to a text, or texts."""

known = EXPLAINERS.known
NO_OPTIONS: Tables = {}


_VERSIONS: dict[str, str] = {}
"""Of what this process has registered."""


def register(name: str, explains: "Explains", version: str = "1") -> None:
    """Make an explainer known as `name`; one registered before under that name is replaced.

    `version` goes with a function: another one makes its explanations others. Raises `SettingError`
    for the name of a shipped explainer, and for what is none.
    """
    _check(name, explains)
    EXPLAINERS.register(name, explains)
    _VERSIONS[name] = version


def make(name: str, tables: Tables = NO_OPTIONS) -> "Explainer":
    """The explainer `name`, with its options of `explain.options`.

    Raises `SettingError` for an unknown name, a place where there is no explainer, or options that
    do not fit.
    """
    from delphi_assets.explainers.explainer import Explainer
    from delphi_assets.explainers.functions import FunctionExplainer, of_texts

    explains = _found(name)
    options = _options(name, tables)
    if isinstance(explains, Explainer):
        return explains
    if isinstance(explains, Mapping):
        return of_texts(explains, _VERSIONS.get(name, "1"))
    given: dict[str, Any] = {} if options is None else {"options": options}
    if not isinstance(explains, type):
        function: Callable[..., str] = partial(explains, **given)
        return FunctionExplainer(function, _VERSIONS.get(name, "1"))
    made = explains(**given)
    assert isinstance(made, Explainer), "another class is refused"
    return made


def options_told(name: str, tables: Tables) -> dict[str, object]:
    """The explainer's options that are not as it declares them; raises as `make`."""
    return told(_options(name, tables))


def _options(name: str, tables: Tables) -> Options | None:
    return options_for(EXPLAINERS, "explain.options", tables, name, _found(name))


def _found(name: str) -> "Explains":
    found: Explains = EXPLAINERS.find(name)
    _check(name, found)
    return found


def _check(name: str, explains: object) -> None:
    from delphi_assets.explainers.explainer import Explainer

    of_class = not isinstance(explains, type) or issubclass(explains, Explainer)
    if isinstance(explains, Explainer) or (callable(explains) and of_class):
        return
    if isinstance(explains, Mapping):
        for key in explains:
            if not isinstance(key, int):
                raise SettingError(
                    f"the explainer {name!r} has the key {shown(key)}; expected latents as "
                    "numbers, such as {4: 'a text'}."
                )
        return
    raise SettingError(
        f"the explainer {name!r} is a {type(explains).__name__}; expected an Explainer, or a "
        "function from a LatentRecord to a text, or texts by latent."
    )
