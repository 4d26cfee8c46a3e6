"""The prompts, as package data: instructions as .txt, worked examples as .toml.

In: optionally a folder whose files stand in for the shipped ones of the same name, and a version.
Out: texts and worked examples. Everything fixed comes first in a prompt, so that the caches of
providers apply from one latent to the next.

A `<name>_question.txt` is the question itself, with `$part` where its parts go.

The files beside this one are version 1. A file in `v2/` stands for its namesake from version 2 on,
one in `v3/` from version 3 on. Answers that are stored are found by the messages, so a file that
was shipped stays as it is: what is mended goes into the next version.
"""

import re
import tomllib
from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Any, NamedTuple, TypeVar

from delphi_assets.errors import SettingError
from delphi_assets.ground.local_paths import is_folder

Case = TypeVar("Case")

SHIPPED: Traversable = files(__package__)
"""Where the shipped files are."""
NO_PATTERN = "No clear pattern"
"""How an explanation begins that says that there is none; `sql/macros/no_pattern.sql` knows it."""


class ShownWindow(NamedTuple):
    """A window as an explainer's prompt shows it."""

    text: str
    """With its strong tokens between << and >>."""
    pairs: tuple[tuple[str, int], ...]
    """Those tokens, with their strength from -10 to 10."""


class ShownToken(NamedTuple):
    """A token as the single-token explainer's prompt shows it."""

    token: str
    windows: int
    """Windows in which it is the strongest token."""
    least: int
    """Its smallest strength there, from -10 to 10."""
    most: int


class ExplainerCase(NamedTuple):
    """A worked example for an explainer."""

    windows: tuple[ShownWindow, ...]
    silent: tuple[str, ...]
    """Windows in which the latent is silent."""
    tokens: tuple[ShownToken, ...]
    reasoning: str
    explanation: str


class ScorerCase(NamedTuple):
    """A worked example for a scorer."""

    explanation: str
    windows: tuple[str, ...]
    answers: tuple[int, ...]
    """One a window; intruder and discrimination: the number of the right option."""
    descriptions: tuple[str, ...]
    """Explanations to pick from; discrimination only."""


class Prompts:
    """The shipped prompts, with the files of `folder` in place of those of the same name.

    Shipped prompts are those of `version`, without one the latest. Explainers read `explainer*` and
    `excerpts.txt`. Files are read once. Raises `SettingError` for a folder that is not there, a
    file of a name that no prompt has, one that cannot be read, or a version that is not shipped.
    """

    def __init__(
        self,
        folder: str | None = None,
        setting: str = "explain.prompts",
        version: int | None = None,
    ) -> None:
        newest = latest()
        self.version = newest if version is None else version
        if self.version > newest:
            raise SettingError(
                f"answers of version {self.version} of the shipped prompts are stored, and this "
                f"version of the library has prompts up to version {newest}; use the newer one, or "
                f"set {setting.partition('.')[0]}.prompt_version = 'latest' to ask anew."
            )
        self._texts = _replacing(Path(folder), setting) if folder is not None else {}
        for name in list(self._texts):
            if name.startswith("explainer") and name.endswith(".toml"):
                self.explainer_cases(name.removesuffix(".toml"))

    def text(self, name: str) -> str:
        """Instructions `<name>.txt`."""
        return self._read(f"{name}.txt").strip()

    def question(self, name: str, **parts: str) -> str:
        """The question `<name>_question.txt` with its parts in their places."""
        return Template(self.text(f"{name}_question")).safe_substitute(parts)

    def layout(self, name: str) -> dict[str, str]:
        """What a hash of a prompt has to name of the question: nothing in version 1, whose hashes
        are from before questions were files.
        """
        text = self.text(f"{name}_question")
        return {} if text == _shipped(f"{name}_question.txt", 1).strip() else {"question": text}

    def explainer_cases(self, name: str = "explainer") -> tuple[ExplainerCase, ...]:
        """Worked examples of `<name>.toml`."""
        return self._cases(name, _explainer_case)

    def scorer_cases(self, scorer: str) -> tuple[ScorerCase, ...]:
        """Worked examples of `<scorer>.toml`."""
        return self._cases(scorer, _scorer_case)

    def _read(self, name: str) -> str:
        if name not in self._texts:
            self._texts[name] = _shipped(name, self.version)
        return self._texts[name]

    def _cases(self, name: str, case: Callable[[dict[str, Any]], Case]) -> tuple[Case, ...]:
        text = self._read(f"{name}.toml")
        try:
            return tuple(case(raw) for raw in tomllib.loads(text)["case"])
        except (
            tomllib.TOMLDecodeError,
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            ArithmeticError,
        ) as error:
            raise SettingError(
                f"the prompt {name}.toml cannot be used ({type(error).__name__}: {error}); "
                "expected [[case]] tables with the fields of the shipped file."
            ) from error


def known() -> list[str]:
    """Names of the files that a folder of prompts may hold."""
    shipped = {path.name for folder in _folders().values() for path in folder.iterdir()}
    return sorted(name for name in shipped if name.endswith((".txt", ".toml")))


def worked_explanations() -> list[str]:
    """What the worked examples for explainers say, of all versions, without "no clear pattern"."""
    texts = {
        case.explanation
        for version in _folders()
        for name in known()
        if name.startswith("explainer") and name.endswith(".toml")
        for case in Prompts(version=version).explainer_cases(name.removesuffix(".toml"))
    }
    return sorted(text for text in texts if not text.startswith(NO_PATTERN))


def latest() -> int:
    """The newest version of the shipped prompts."""
    return max(_folders())


def _replacing(folder: Path, setting: str) -> dict[str, str]:
    if not is_folder(folder):
        raise SettingError(
            f"{setting} = {str(folder)!r} is no folder; expected one with files such as "
            "explainer.txt, which stand in for the shipped ones."
        )
    found = {path.name: path for path in sorted(folder.iterdir()) if path.name[0] != "."}
    if unknown := sorted(set(found) - set(known())):
        raise SettingError(
            f"{setting} = {str(folder)!r} holds {unknown}, which no prompt is called; "
            f"expected some of {known()}."
        )
    try:
        return {name: path.read_text(encoding="utf-8") for name, path in found.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"{setting} = {str(folder)!r} holds a file that is not readable UTF-8 text: "
            f"{error}; restore it."
        ) from error


def _folders() -> dict[int, Traversable]:
    """Where each version's own files are."""
    later = {
        int(path.name[1:]): path
        for path in SHIPPED.iterdir()
        if re.fullmatch("v[1-9][0-9]*", path.name)
    }
    return {1: SHIPPED, **later}


def _shipped(name: str, version: int) -> str:
    """The newest file of that name up to `version`; of one that came later, the first."""
    folders = _folders()
    order = sorted(folders, key=lambda one: (one > version, abs(one - version)))
    found = (path for one in order if (path := folders[one] / name).is_file())
    return next(found, SHIPPED / name).read_text(encoding="utf-8")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} where a text is expected")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"a {type(value).__name__} where a list of texts is expected")
    return tuple(map(_text, value))


def _explainer_case(raw: dict[str, Any]) -> ExplainerCase:
    return ExplainerCase(
        tuple(
            ShownWindow(
                _text(window["text"]),
                tuple((str(token), int(value)) for token, value in window["activations"]),
            )
            for window in raw.get("windows", ())
        ),
        _texts(raw.get("silent", ())),
        tuple(
            ShownToken(str(token), int(windows), int(least), int(most))
            for token, windows, least, most in raw.get("tokens", ())
        ),
        _text(raw["reasoning"]).strip(),
        _text(raw["explanation"]),
    )


def _scorer_case(raw: dict[str, Any]) -> ScorerCase:
    return ScorerCase(
        _text(raw.get("explanation", "")),
        _texts(raw["windows"]),
        tuple(int(answer) for answer in raw["answers"]),
        _texts(raw.get("descriptions", ())),
    )
