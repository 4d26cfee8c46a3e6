"""`delphi-assets run` with Dagster's history, by another name.

    python -m dagster_project.demo [PROFILE]

In: a profile (argument, else the environment, else `demo`). Out: what `delphi-assets run` gives
with the runner `dagster`, and its exit status.
"""

import os
import sys

from delphi_assets.command_line import main as command


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    return command(["run", "--runner", "dagster_project.runner:by_dagster", *given])


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # A plain exit after torch ran under Dagster makes DuckDB's bindings print 40 lines about leaks.
    os._exit(status)
