"""What an export writes is there whole or not at all, and never in the place of something else.

A file or folder is written under a hidden name beside its target and renamed when it is whole.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from delphi_assets.errors import DataError, StorageError


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A path in a folder that is there, to make a file or a folder at; it becomes `target`.

    Raises `DataError` when the target is there, `StorageError` when it cannot be written. After an
    error nothing is left.
    """
    if os.path.lexists(target):
        raise DataError(
            f"{target} is there already; expected a new name. Remove it, or name another."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            yield beside / target.name
            os.rename(beside / target.name, target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written ({error}); expected room and permission to write. Nothing "
            "is left there: mend it, or name another, and export again."
        ) from error
