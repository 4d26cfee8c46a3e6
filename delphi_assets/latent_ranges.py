"""The notation of latents: `0-4, 17`, `all`, `next 1000`, `failed`.

In: a text of a profile, a launch or a call, or indices. Out: `Latents`, ranges of numbers.
"""

import operator
import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from delphi_assets.errors import SettingError
from delphi_assets.ground.shown_values import shown

LAST_LATENT = 2**31 - 1
"""Largest number that a latent can have, which is stored in 32 bits."""


class Latents(NamedTuple):
    """Half-open ranges of latent indices, as a launch names them; empty means all.

    `next` and `failed` pick among these by what is stored; the stages explanations and predictions
    know how, see `parse_wanted`.
    """

    ranges: tuple[tuple[int, int], ...]
    next: int | None = None
    """Only so many that were never tried, in order of number."""
    failed: bool = False
    """Only those that were tried and lack an answer."""

    def __contains__(self, latent: object) -> bool:
        return not self.ranges or any(
            # `in` promises to take any object; another one than a number is an error here.
            start <= latent < end  # type: ignore[operator]
            for start, end in self.ranges
        )

    def among(self, first: int, last: int) -> list[int]:
        """The latents named of first, ..., last - 1, in order."""
        spans = self.ranges or ((first, last),)
        return sorted(
            {latent for start, end in spans for latent in range(max(start, first), min(end, last))}
        )


ALL = Latents(())

WhichLatents: TypeAlias = Latents | str | Iterable[int]
"""Latents as a call names them: ranges, `"0-4, 17"`, or indices."""


def parse_latents(text: str) -> Latents:
    """`"0-4, 17"` as ranges, ends inclusive as Delphi's file names; `""` or `"all"` is all."""
    if text.strip().lower() in ("", "all"):
        return Latents(())
    ranges = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
        if match is None:
            raise SettingError(
                f"latents = {shown(text)}: {shown(part.strip())} is not a latent or a range; "
                "expected for example '0-4' or '0-4, 17' (ends inclusive), or 'all'."
            )
        start, end = (_latent(number, text) for number in (match[1], match[2] or match[1]))
        if end < start:
            raise SettingError(
                f"latents = {text!r}: {part.strip()!r} ends before it starts; "
                f"expected '{end}-{start}'."
            )
        ranges.append((start, end + 1))
    return Latents(tuple(ranges))


def _latent(digits: str, text: str) -> int:
    """A number as it stands in `text`; raises `SettingError` for one that no latent has."""
    if len(digits.lstrip("0")) > len(str(LAST_LATENT)) or int(digits) > LAST_LATENT:
        raise SettingError(
            f"latents = {shown(text)}: {shown(digits)} is no number of a latent; expected at "
            f"most {LAST_LATENT}."
        )
    return int(digits)


def parse_wanted(text: str) -> Latents:
    """As `parse_latents`, and `"next 1000"` or `"failed"` of what a stage has to do."""
    if text.strip().lower() == "failed":
        return Latents((), failed=True)
    if match := re.fullmatch(r"\s*next\s+([0-9,_]+)\s*", text, re.IGNORECASE):
        count = _latent(re.sub("[,_]", "", match[1]) or "0", text)
        if count == 0:
            raise SettingError(f"latents = {text!r}; expected at least 'next 1'.")
        return Latents((), next=count)
    try:
        return parse_latents(text)
    except SettingError as error:
        raise SettingError(f"{error} Also known here: 'next 1000', 'failed'.") from error


def as_latents(which: WhichLatents) -> Latents:
    """`which` as it is, or read as `parse_latents` reads it."""
    return which if isinstance(which, Latents) else parse_latents(as_text(which))


def wanted_latents(which: WhichLatents) -> Latents:
    """What a stage is asked for: `which` as it is, or read as `parse_wanted` reads it."""
    return which if isinstance(which, Latents) else parse_wanted(as_text(which))


def as_text(latents: WhichLatents) -> str:
    """Latents as `parse_wanted` reads them; raises `SettingError` for what names none."""
    if isinstance(latents, str):
        return latents
    if isinstance(latents, Latents):
        return _text_of(latents)
    if not isinstance(latents, Iterable):
        raise SettingError(
            f"latents = {latents!r}; expected '0-4, 17', 'all', or indices, e.g. [{latents!r}]."
        )
    indices = [str(latent_index(latent)) for latent in latents]
    if not indices:
        raise SettingError("latents = []; expected at least one, or 'all'.")
    return ", ".join(indices)


def _text_of(latents: Latents) -> str:
    if latents.failed:
        return "failed"
    if latents.next is not None:
        return f"next {latents.next}"
    spans = (
        f"{start}" if end == start + 1 else f"{start}-{end - 1}" for start, end in latents.ranges
    )
    return ", ".join(spans) or "all"


def latent_index(latent: object) -> int:
    """The index of one latent, of any whole number's type; raises `SettingError` for others."""
    try:
        # What has no index is what is caught.
        return operator.index(latent)  # type: ignore[arg-type]
    except TypeError:
        raise SettingError(
            f"latent = {latent!r}; expected its index, a whole number. `hookpoint.latents` takes "
            "several, as '0-4, 17' or as indices."
        ) from None
