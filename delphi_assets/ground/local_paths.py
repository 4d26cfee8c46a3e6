"""Names that may be paths here: of a profile, a launch or an argument.

In: a name as somebody typed it. Out: a path. Unlike `Path`'s own methods these take any name: one
that no file can have is none that is there.
"""

import os
from pathlib import Path


def local_path(name: str | os.PathLike[str]) -> Path:
    """`name` with `~` resolved, where it is somebody's."""
    return Path(os.path.expanduser(name))


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there."""
    return os.path.isfile(path)


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is there."""
    return os.path.isdir(path)
