"""The notation of latents: `0-4, 17`, `all`, `next 1000`, `failed`.

In: a text of a profile, a launch or a call. Out: `Latents`, ranges of numbers.
"""

import re
from typing import NamedTuple

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
