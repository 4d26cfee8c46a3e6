"""Run the demo, and kill its process at one file move of the lake, as a power cut would.

    python killing.py TABLE NUMBER before|after

kills at the NUMBER-th move of a data file or manifest of TABLE: before the file is in place, or
after it is and before anything else happens. A run without that move ends as the demo does.
"""

import os
import signal
import sys

from dagster_project import demo
from delphi_assets.lake.lake import Lake


def kill_at(table: str, number: int, moment: str) -> None:
    """Arm `Lake` to end this process, without any cleaning up."""
    move = Lake.move
    seen = 0

    def fatal(lake: Lake, source: str, target: str) -> None:
        nonlocal seen
        seen += target.startswith((f"{table}/run=tiny", f"manifests/{table}/"))
        at_it = seen == number and f"{table}/" in target
        if at_it and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        move(lake, source, target)
        if at_it and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    # The process dies within a method of the lake that is otherwise the real one.
    Lake.move = fatal  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    kill_at(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    sys.exit(demo.main([]))
