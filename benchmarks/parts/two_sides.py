"""A benchmark of two sides: one makes a folder, the other reads it where another package is there.

In: which side, and the folder. Out: what the reading side measured.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.parts.record import Measured


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which side, and the folder that both share."""
    parser.add_argument("command", choices=["make", "read"])
    parser.add_argument("folder", type=Path)


def one_side(
    given: argparse.Namespace, make: Callable[[Path], None], read: Callable[[Path], Measured]
) -> Measured | None:
    """Make the folder, or read it."""
    if given.command == "read":
        return read(given.folder)
    make(given.folder)
    return None
