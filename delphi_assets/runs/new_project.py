"""A project of one's own: a folder in which the command and Dagster work on one profile.

In: a folder that is empty or not there. Out: the files of `project_files/` in it, under the names
that `FILES` gives them.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from delphi_assets.errors import SettingError, StorageError
from delphi_assets.settings import OWN_PROFILE

FILES: Mapping[str, str] = {
    "README.md": "README.md",
    OWN_PROFILE: "profile.toml",
    "Makefile": "Makefile",
    "definitions.py": "definitions.txt",
    "defs/__init__.py": "defs.txt",
    "defs/runs/defs.yaml": "defs.yaml",
    "pyproject.toml": "pyproject.toml",
    ".dagster/dagster.yaml": "dagster.yaml",
    ".gitignore": "gitignore",
}
"""Where a file lies in a project, and its name among `project_files/`: there it must be no module
of this library, nor say what git leaves out of it."""


def lay_project(folder: Path) -> list[Path]:
    """Write the files of a project into `folder`; returns where they are.

    Raises `SettingError` for a folder that holds something, `StorageError` for one that cannot be
    written.
    """
    if folder.exists() and not folder.is_dir():
        raise SettingError(f"{folder} is a file; expected a new folder, or an empty one.")
    laid = [folder / name for name in FILES]
    try:
        if folder.exists() and (there := sorted(path.name for path in folder.iterdir())):
            raise SettingError(
                f"{folder} is not empty, it holds {there[0]!r}; expected a new folder, or an empty "
                "one. Name another one."
            )
        for path, template in zip(laid, FILES.values(), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            text = files(__package__).joinpath("project_files", template).read_text("utf-8")
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"a project cannot be written into {folder} ({error}); expected room and permission to "
            "write there."
        ) from error
    return laid
