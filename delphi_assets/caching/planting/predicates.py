"""Predicates: what the latents of a planted run stand for, read from a file.

In: a TOML file with a table `[[predicate]]` for each latent. Out: `Predicates`, checked whole: each
has a name, a kind with its options (`kinds`), a true sentence, sentences that are wrong in a known
way, and defects. Nothing else in the library knows any of them.

1. `like = "name"` takes over what another predicate above it says, but for what is said again.
2. What is left over when the common fields are taken away are the options of the kind; a kind with
   a colon is a function, `package.module:function`, and they are handed to it.
3. Names that predicates refer to have to be there, and in no circle.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from delphi_assets.caching.planting.kinds import FUNCTIONS, KINDS, Function, Kind
from delphi_assets.caching.planting.passages import Mask, Passage
from delphi_assets.errors import DelphiAssetsError, SettingError
from delphi_assets.ground.hookpoint_names import NAME
from delphi_assets.ground.shown_values import nearest, shown
from delphi_assets.settings.problems import checked_options
from delphi_assets.settings.strict import Settings

SHIPPED = Path(__file__).with_name("predicates.toml")
"""The predicates that come with the library."""


class Wrong(Settings):
    """Sentences that are wrong in a known way, each kind one or several."""

    parent: tuple[str, ...] = Field((), description="too broad: it holds on more than the latent")
    child: tuple[str, ...] = Field((), description="too narrow: it holds on a part of it")
    sibling: tuple[str, ...] = Field((), description="beside it: alike, and of other tokens")
    condition_missing: tuple[str, ...] = Field((), description="one condition less")
    condition_extra: tuple[str, ...] = Field((), description="one condition too many")

    def rows(self) -> Iterator[tuple[str, str]]:
        """Each relation with each of its sentences."""
        for relation in type(self).model_fields:
            for text in getattr(self, relation):
                yield relation, text


class Defects(Settings):
    """How a latent strays from its predicate; see `firing` for how each is drawn."""

    miss_rate: float = Field(
        0.0, ge=0, le=1, description="share of the tokens on which it holds and that it misses"
    )
    absorbed_by: str | None = Field(
        None, description="name of a predicate on whose tokens it misses `absorbed_rate` more"
    )
    absorbed_rate: float = Field(0.0, ge=0, le=1, description="share of those tokens")
    silent_rate: float = Field(
        0.0, ge=0, le=1, description="share of the contexts in which it never fires: burstiness"
    )
    false_fire_rate: float = Field(
        0.0, ge=0, le=1, description="share of the tokens on which it does not hold, and it fires"
    )
    stronger_at: str | None = Field(
        None, description="name of a predicate on whose tokens it fires `strength_factor` as much"
    )
    strength_factor: float = Field(1.0, gt=0, le=100, description="times as strong there")


class Stated(Settings):
    """What is said of every predicate, whatever its kind."""

    name: str = Field(pattern=NAME, max_length=100, description="name, which no other one has")
    text: str = Field(min_length=1, description="the true description, one sentence")
    sign: Literal[1, -1] = Field(1, description="1, or -1: its activations are negative")
    strength: float = Field(
        8.0, ge=0.01, le=1_000, description="median magnitude of its activations"
    )
    wrong: Wrong = Field(Wrong(), description="descriptions that are wrong in a known way")
    defects: Defects = Field(Defects(), description="how the latent strays from it")


class Predicate(NamedTuple):
    """One predicate: what is said of it, and what it holds on."""

    stated: Stated
    kind_name: str
    """As the file says it."""
    kind: Kind

    @property
    def name(self) -> str:
        """Its name."""
        return self.stated.name

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the predicates that it needs the masks of."""
        defects = self.stated.defects
        also = (defects.absorbed_by, defects.stronger_at)
        return (*self.kind.others, *(name for name in also if name is not None))


@dataclass(frozen=True)
class Predicates:
    """The predicates of a file, in the order of the latents."""

    all: Sequence[Predicate]
    sha256: str
    """Of the file."""
    origin: str
    """Where they are from."""

    def masks(self, passage: Passage) -> dict[str, Mask]:
        """The tokens [n] of the passage on which each predicate holds, by name.

        Raises `SettingError` naming a predicate whose function fails.
        """
        found: dict[str, Mask] = {}
        for predicate in self._in_order:
            try:
                found[predicate.name] = predicate.kind.mask(passage, found)
            except Exception as error:
                # A function of one's own may raise anything.
                if isinstance(error, DelphiAssetsError) and predicate.kind_name in KINDS:
                    raise
                raise SettingError(
                    f"{self.origin}: predicate {predicate.name!r} of kind "
                    f"{predicate.kind_name!r} failed on {shown(passage.text)}: "
                    f"{type(error).__name__}: {error}"
                ) from error
        return found

    @cached_property
    def _in_order(self) -> Sequence[Predicate]:
        """Those that others are made of before them: a file may name them in any order."""
        return _sorted(self.all, self.origin)


def shipped_predicates() -> Predicates:
    """Those that come with the library."""
    return read_predicates(SHIPPED)


def read_predicates(path: Path) -> Predicates:
    """The predicates of a file.

    Raises `SettingError` for a file that cannot be read, and naming the predicate, the value and
    what was expected.
    """
    try:
        content = path.read_bytes()
        raw = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise SettingError(
            f"predicates {path} cannot be read ({error}); expected a TOML file."
        ) from error
    except (ValueError, RecursionError) as error:
        raise SettingError(f"predicates {path} are not TOML in UTF-8: {error}.") from error
    return Predicates(_predicates(raw, str(path)), hashlib.sha256(content).hexdigest(), str(path))


def _predicates(raw: Mapping[str, Any], origin: str) -> tuple[Predicate, ...]:
    tables = raw.get("predicate")
    if set(raw) != {"predicate"} or not isinstance(tables, list) or not tables:
        raise SettingError(
            f"{origin} holds {sorted(raw)}; expected a table [[predicate]] for each latent, and "
            "nothing else."
        )
    given: dict[str, dict[str, Any]] = {}
    found: list[Predicate] = []
    for number, table in enumerate(tables, 1):
        place = _place(table, number, origin)
        completed = _completed(table, given, place)
        found.append(_predicate(completed, place))
        if found[-1].name in given:
            raise SettingError(f"{place}: there is one of that name above; expected another name.")
        given[found[-1].name] = completed
    _check_names(found, origin)
    _sorted(found, origin)
    return tuple(found)


def _place(table: object, number: int, origin: str) -> str:
    if not isinstance(table, dict):
        raise SettingError(f"{origin}: predicate is {shown(table)}; expected [[predicate]] tables.")
    named = f" {table['name']!r}" if isinstance(table.get("name"), str) else ""
    return f"{origin}: predicate {number}{named}"


def _completed(
    table: dict[str, Any], given: Mapping[str, dict[str, Any]], place: str
) -> dict[str, Any]:
    """A table with what it takes over from the one that it is like."""
    own = {name: value for name, value in table.items() if name != "like"}
    if "like" not in table:
        return own
    if (like := table["like"]) not in given:
        raise SettingError(
            f"{place}: like = {shown(like)}; expected the name of a predicate above it"
            f"{nearest(str(like), list(given))}."
        )
    taken = {name: value for name, value in given[like].items() if name != "name"}
    return {**taken, **own}


def _predicate(table: dict[str, Any], place: str) -> Predicate:
    common = {name: table[name] for name in table if name in Stated.model_fields}
    if isinstance(wrong := common.get("wrong"), dict):
        listed = {name: [text] if isinstance(text, str) else text for name, text in wrong.items()}
        common["wrong"] = listed
    stated = checked_options(Stated, _json(common, place), place)
    name = table.get("kind")
    options = {key: table[key] for key in table.keys() - common.keys() - {"kind"}}
    if isinstance(name, str) and ":" in name:
        try:
            FUNCTIONS.find(name)
        except SettingError as error:
            raise SettingError(f"{place}: {error}") from error
        return Predicate(stated, name, Function(function=name, options=options))
    if not isinstance(name, str) or name not in KINDS:
        raise SettingError(
            f"{place}: kind = {shown(name)}; expected one of {list(KINDS)}, or "
            f"'package.module:function' for one of your own{nearest(str(name), list(KINDS))}."
        )
    kind = checked_options(KINDS[name], _json(options, place), place)
    if name == "random" and not stated.defects.false_fire_rate:
        raise SettingError(
            f"{place}: kind = 'random' with defects.false_fire_rate = 0; expected the share of "
            "tokens on which it fires."
        )
    return Predicate(stated, name, kind)


def _json(table: Mapping[str, Any], place: str) -> str:
    """As JSON, so that a list of TOML can be a tuple."""
    try:
        return json.dumps(table, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SettingError(
            f"{place} holds what JSON cannot ({error}); expected texts, finite numbers and lists."
        ) from error


def _check_names(found: Iterable[Predicate], origin: str) -> None:
    """Raise `SettingError` for a predicate that names one that is not there."""
    names = [predicate.name for predicate in found]
    for predicate in found:
        for other in predicate.others:
            if other not in names:
                raise SettingError(
                    f"{origin}: predicate {predicate.name!r} names {other!r}; expected the name of "
                    f"a predicate of the file{nearest(other, names)}."
                )


def _sorted(found: Iterable[Predicate], origin: str) -> list[Predicate]:
    """Each behind those that it is made of; raises `SettingError` for a circle."""
    left = {predicate.name: predicate for predicate in found}
    done: dict[str, Predicate] = {}
    while left:
        ready = [one for one in left.values() if done.keys() >= set(one.kind.others)]
        if not ready:
            raise SettingError(
                f"{origin}: the predicates {sorted(left)} are made of each other; expected no "
                "circle of `of`."
            )
        for one in ready:
            done[one.name] = left.pop(one.name)
    return list(done.values())
