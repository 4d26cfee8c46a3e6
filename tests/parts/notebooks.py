"""Execute the notebooks: in tests on a small lake, by hand to write their outputs.

    make demo && .venv/bin/python -m tests.parts.notebooks

In: a notebook and what its kernel's environment has beside this process's. Out: the notebook with
outputs. The kernel is this Python's, and runs in the notebook's own folder.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
IN_ORDER = ("explain_latents", "score_explanations", "scores_and_metadata")


def execute(
    name: str, folder: Path = FOLDER, environment: Mapping[str, str] | None = None
) -> nbformat.NotebookNode:
    """The notebook `name`, run in `folder`; raises `CellExecutionError` as its cells do."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    with patch.dict(os.environ, environment or {}):
        return client.execute()


def write_outputs() -> None:
    """Execute the notebooks on the lake of the demo and keep their outputs."""
    for name in IN_ORDER:
        nbformat.write(execute(name), FOLDER / f"{name}.ipynb")


if __name__ == "__main__":
    write_outputs()
