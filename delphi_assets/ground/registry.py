"""Things that are called by name in settings, and where each name leads.

In: a name. Out: what it stands for, imported when it is asked for. A name is one of

1. what is shipped,
2. what this process has registered,
3. an entry point of an installed package, in the group of the kind (`delphi_assets.scorers`),
4. a place, `package.module:name`.

Entry points are looked up when a name is none of the first two: nothing is read at import.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from delphi_assets.errors import SettingError


class Registry:
    """Names of one kind, such as scorers.

    `places` are `module:attribute` of what is shipped, and `check` of a function that says what is
    wrong with settings that name one.
    """

    def __init__(
        self,
        kind: str,
        article: str,
        places: Mapping[str, str],
        check: str | None = None,
    ) -> None:
        self.kind = kind
        self._article, self._places = article, places
        self._check = check
        self._registered: dict[str, Any] = {}

    @property
    def group(self) -> str:
        """The group of entry points in which packages offer more of the kind."""
        return f"delphi_assets.{self.kind.replace(' ', '_').replace('-', '_')}s"

    def register(self, name: str, thing: object) -> None:
        """Make `thing` known as `name`; one registered before under that name is replaced.

        Raises `SettingError` for the name of a shipped one.
        """
        if name in self._places:
            raise SettingError(
                f"{self._article} {self.kind} {name!r} comes with delphi-assets; expected a name "
                f"other than {self.known()}."
            )
        self._registered[name] = thing

    def shipped(self) -> list[str]:
        """The names that come with delphi-assets, as they are declared."""
        return list(self._places)

    def known(self) -> list[str]:
        """The names there are."""
        return sorted({*self._places, *self._registered, *self._offered().names})

    def is_known(self, name: str) -> bool:
        """Whether `name` is one of them, or says where one is to be found."""
        return name in self._places or ":" in name or name in self.known()

    def problem_of(self, settings: object) -> str | None:
        """What is wrong with settings that name one; None when nothing is, or nobody checks."""
        if self._check is None:
            return None
        module, _, attribute = self._check.partition(":")
        problem: str | None = getattr(import_module(module), attribute)(settings)
        return problem

    def offered(self) -> list[str]:
        """The names that installed packages offer."""
        return sorted(self._offered().names)

    def find(self, name: str) -> Any:
        """What `name` stands for.

        Raises `SettingError` for an unknown name, a place where there is nothing, or a name that
        several packages offer.
        """
        if name in self._registered:
            return self._registered[name]
        if place := self._places.get(name):
            return self._at(name, place)
        if ":" in name:
            return self._at(name, name)
        return self._of_package(name)

    def _offered(self) -> EntryPoints:
        return entry_points(group=self.group)

    def _of_package(self, name: str) -> Any:
        found = list(self._offered().select(name=name))
        if not found:
            raise SettingError(
                f"there is no {self.kind} {name!r}; expected one of {self.known()}, or "
                "'package.module:name' for one of your own."
            )
        if len({point.value for point in found}) > 1:
            packages = sorted(_package(point) for point in found)
            raise SettingError(
                f"the {self.kind} {name!r} is offered by the packages {packages}; expected one: "
                f"name it by its place, one of {sorted(point.value for point in found)}."
            )
        try:
            return found[0].load()
        except Exception as error:
            # A module of another package may raise anything while it is imported.
            raise SettingError(
                f"the {self.kind} {name!r} of the package {_package(found[0])!r} cannot be "
                f"imported from {found[0].value!r}: {type(error).__name__}: {error}; mend or "
                "remove that package."
            ) from error

    def _at(self, name: str, place: str) -> Any:
        module, _, attribute = place.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except Exception as error:
            # A module of one's own may raise anything while it is imported.
            raise SettingError(
                f"the {self.kind} {name!r} cannot be imported: {type(error).__name__}: {error}; "
                "expected 'package.module:name', of a module that this Python finds and can "
                "import."
            ) from error


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "(unknown)"
