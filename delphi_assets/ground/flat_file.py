"""An array on disk that is written piece by piece and then mapped into memory.

In: pieces of numbers of one type. Out: all of them, end to end. The file lies in the system's
temporary folder and has no name: the mapping keeps it, and without a mapping it is gone.
"""

import tempfile
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class FlatFile:
    """Use with `with`; what `mapped` returns outlives the block."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed on leaving the block)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, piece: Array) -> None:
        """Write one piece behind the others; it has the file's type."""
        assert piece.dtype == self._dtype, "a piece is not converted"
        self._file.write(piece.tobytes())

    def mapped(self) -> Array:
        """What was written, mapped into memory."""
        self._file.flush()
        if not self._file.tell():
            return np.empty(0, self._dtype)
        # A plain array over the mapping: a slice of a memmap costs ten times as much.
        return np.asarray(np.memmap(self._file, dtype=self._dtype, mode="r"))
