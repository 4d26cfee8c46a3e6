"""What the calls of a run come to, over all processes that make them at the time.

In: what each process sets aside before a call, and what the call came to. Out: the sums.

    claims/run=<run>/ledger.json      the sums, read and written by one process at a time
    claims/run=<run>/<member>.lock    held by a member as long as it makes calls

1. Whoever joins while nobody else is there begins with what the table completions holds; whoever
   joins later goes on with the sums of the others.
2. What a member has set aside when it is killed is set free by the next one that misses it; but
   its batches are on their way, and stay set aside until somebody collects them.

Members are clients, so there may be several in a process. Where there are no locks (`locks`),
each client has sums of its own, and sees the others' calls when it starts.
"""

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from delphi_assets.errors import DataError
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.locks import has_locks
from delphi_assets.lake.manifests import folder_of
from delphi_assets.llm.calls.completions import Spent


@dataclass
class Sums:
    """What calls came to, and what they may still come to."""

    spent: Spent | None = None
    """Of calls that have ended; None until somebody has read the table completions."""
    left: Spent = field(default_factory=Spent)
    """Set aside for batches that nobody follows."""
    open: dict[str, Spent] = field(default_factory=dict)
    """Set aside by each member."""

    @property
    def aside(self) -> Spent:
        """What is set aside by members, whose calls will end."""
        total = Spent()
        for one in self.open.values():
            total = total.plus(one)
        return total

    @property
    def total(self) -> Spent:
        """What it may all come to."""
        return (self.spent or Spent()).plus(self.left).plus(self.aside)


class Ledger:
    """One member's view of the sums of a run. Use in a `with` statement, then `begin`.

    `batch` says that what is set aside is under way even when the member ends.
    """

    def __init__(self, lake: Lake, run: str, batch: bool = False) -> None:
        folder = folder_of("claims", {"run": run})
        self._folder = lake.local_path(folder) if has_locks(lake) else None
        self._name = f"{uuid.uuid4().hex}{'-batch' if batch else ''}"
        self._own = Sums()
        self._file: int
        self._alive: BinaryIO

    def __enter__(self) -> Self:
        if self._folder is None:
            self._own.open[self._name] = Spent()
            return self
        self._folder.mkdir(parents=True, exist_ok=True)
        self._alive = self._lock_of(self._name).open("ab")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._file = os.open(self._folder / "ledger.json", os.O_RDWR | os.O_CREAT, 0o666)
        with self.sums() as sums:
            self._forget_dead(sums)
            if not sums.open:
                sums.spent, sums.left = None, Spent()
            sums.open[self._name] = Spent()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._folder is None:
            return
        with self.sums() as sums:
            self._forget(sums, self._name)
        os.close(self._file)
        self._alive.close()
        self._lock_of(self._name).unlink(missing_ok=True)

    def begin(self, stored: Spent, under_way: Spent) -> None:
        """Say what the table completions holds, and what batches on their way will come to.

        Both are read after entering, and count unless another member makes calls already.
        """
        with self.sums() as sums:
            if sums.spent is None:
                sums.spent, sums.left = stored, under_way

    def set_aside(self, sums: Sums, call: Spent) -> None:
        """A call is about to be made."""
        sums.open[self._name] = sums.open[self._name].plus(call)

    def follow(self, call: Spent) -> None:
        """A call of a batch that is on its way is this member's now."""
        with self.sums() as sums:
            if sums.left.calls:
                sums.left = sums.left.minus(call)
            self.set_aside(sums, call)

    def settle(self, aside: Spent, spent: Spent) -> None:
        """Calls for which `aside` was set aside came to `spent`."""
        with self.sums() as sums:
            sums.open[self._name] = sums.open[self._name].minus(aside)
            sums.spent = (sums.spent or Spent()).plus(spent)

    def others_ended(self, sums: Sums) -> bool:
        """Whether a member was found to be dead; what it had set aside is free then."""
        before = len(sums.open)
        self._forget_dead(sums)
        return len(sums.open) < before

    @contextmanager
    def sums(self) -> Iterator[Sums]:
        """The sums; changes are stored when the block ends, and no member is inside meanwhile."""
        if self._folder is None:
            yield self._own
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            sums = self._read()
            yield sums
            self._write(sums)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _read(self) -> Sums:
        if not (text := os.pread(self._file, os.fstat(self._file).st_size, 0)):
            return Sums()
        try:
            stored = json.loads(text)
            spent = None if stored["spent"] is None else Spent(*stored["spent"])
            members = {name: Spent(*one) for name, one in stored["open"].items()}
            return Sums(spent, Spent(*stored["left"]), members)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"ledger.json in {self._folder} is damaged ({error}); when no process makes calls "
                "for the run, delete it and start again."
            ) from None

    def _write(self, sums: Sums) -> None:
        stored = {"spent": sums.spent, "left": sums.left, "open": sums.open}
        # One call, which a kill does not divide; what was longer before is blanked.
        text = json.dumps(stored).ljust(os.fstat(self._file).st_size)
        os.pwrite(self._file, text.encode(), 0)

    def _forget_dead(self, sums: Sums) -> None:
        for name in [name for name in sums.open if name != self._name]:
            with suppress(BlockingIOError), self._lock_of(name).open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._lock_of(name).unlink()
                self._forget(sums, name)

    def _forget(self, sums: Sums, name: str) -> None:
        aside = sums.open.pop(name)
        if name.endswith("-batch"):
            sums.left = sums.left.plus(aside)

    def _lock_of(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}.lock"
