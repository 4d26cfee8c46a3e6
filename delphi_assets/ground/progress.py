"""How far a stage is, on standard error.

In: steps that are taken, and failures among them. Out: a bar that is drawn over itself on a
terminal. Elsewhere, as in a log, it is a line at the start, one each `SECONDS` seconds in which
something was done, and one at the end.
"""

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import Any, Protocol, Self, TypeVar

from tqdm import tqdm

SECONDS = 10.0
"""From one line to the next."""

_LINE = "{desc}: {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"

T = TypeVar("T")


class Bar:
    """A bar of `total` steps, counted whether it is drawn or not (TQDM_DISABLE)."""

    def __init__(
        self,
        *,
        total: int | None,
        desc: str,
        unit: str,
        unit_scale: bool = False,
        disable: bool = False,
    ) -> None:
        self.total, self.n, self.n_failed = total, 0, 0
        self._notes: dict[str, object] = {}
        given = {"total": total, "desc": desc, "unit": unit, "unit_scale": unit_scale}
        # What is not given may be set by the environment.
        given |= {"disable": True} if disable else {}
        self._drawn: Any = tqdm(**given, **({} if sys.stderr.isatty() else _as_lines()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._drawn.close()

    def update(self, n: int = 1) -> None:
        """`n` more steps are done."""
        self.n += n
        self._drawn.update(n)

    def fail(self, n: int = 1) -> None:
        """`n` of what was asked for failed; the bar counts them as `failed`."""
        if n:
            self.n_failed += n
            self.note(failed=self.n_failed)

    def note(self, **values: object) -> None:
        """Values beside the bar, shown when it is drawn next."""
        self._notes |= values
        self._drawn.set_postfix(self._notes, refresh=False)


def with_bar(items: Iterable[T], *, desc: str, unit: str, total: int | None = None) -> Iterator[T]:
    """The items one after the other, each a step of a bar."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Bar(total=total, desc=desc, unit=unit) as bar:
        for item in items:
            yield item
            bar.update()


def _as_lines() -> dict[str, object]:
    """How tqdm draws where nothing can be drawn over."""
    seconds = {"mininterval": SECONDS, "maxinterval": SECONDS}
    return {"file": _Lines(sys.stderr), "bar_format": _LINE, "miniters": 1, **seconds}


class _Stream(Protocol):
    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


class _Lines:
    """What tqdm draws, each time a line of its own."""

    def __init__(self, stream: _Stream) -> None:
        self._stream, self._last = stream, ""

    def write(self, text: str) -> None:
        """Write what is drawn; what only moves the cursor is left out, and so is a repetition."""
        line = text.strip()
        if text.startswith("\r") and line not in ("", self._last):
            self._stream.write(f"{line}\n")
            self._last = line

    def flush(self) -> None:
        """Hand on what was written."""
        self._stream.flush()
