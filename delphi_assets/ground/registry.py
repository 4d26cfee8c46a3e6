"""Things that are called by name in settings: shipped ones, registered ones, and places in modules.

In: a name. Out: what it stands for, imported when it is asked for.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from delphi_assets.errors import SettingError


class Registry:
    """Names of one kind, such as scorers.

    `places` are `module:attribute` of what is shipped, and `check` of a function that says what is
    wrong with settings that name one.
    """

    def __init__(
        self, kind: str, article: str, places: Mapping[str, str], check: str | None = None
    ) -> None:
        self._kind, self._article, self._places = kind, article, places
        self._check = check
        self._registered: dict[str, Any] = {}

    def register(self, name: str, thing: object) -> None:
        """Make `thing` known as `name`; one registered before under that name is replaced.

        Raises `SettingError` for the name of a shipped one.
        """
        if name in self._places:
            raise SettingError(
                f"{self._article} {self._kind} {name!r} comes with delphi-assets; expected a name "
                f"other than {self.known()}."
            )
        self._registered[name] = thing

    def known(self) -> list[str]:
        """The names there are."""
        return sorted({*self._places, *self._registered})

    def is_known(self, name: str) -> bool:
        """Whether `name` is one of them, or says where one is to be found."""
        return name in self.known() or ":" in name

    def problem_of(self, settings: object) -> str | None:
        """What is wrong with settings that name one; None when nothing is, or nobody checks."""
        if self._check is None:
            return None
        module, _, attribute = self._check.partition(":")
        problem: str | None = getattr(import_module(module), attribute)(settings)
        return problem

    def find(self, name: str) -> Any:
        """What `name` stands for.

        Raises `SettingError` for an unknown name, or a place where there is nothing.
        """
        if name in self._registered:
            return self._registered[name]
        module, colon, attribute = self._places.get(name, name).partition(":")
        if not colon:
            raise SettingError(
                f"there is no {self._kind} {name!r}; expected one of {self.known()}, or "
                "'package.module:function' for one of your own."
            )
        try:
            return getattr(import_module(module), attribute)
        except Exception as error:
            # A module of one's own may raise anything while it is imported.
            raise SettingError(
                f"the {self._kind} {name!r} cannot be imported: {type(error).__name__}: {error}; "
                "expected 'package.module:function', of a module that this Python finds and can "
                "import."
            ) from error
