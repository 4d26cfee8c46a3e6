"""What a command is: a name, its arguments, and what it does with them.

A module of this folder holds one as `COMMAND`; `command_line` lists the modules. They are all read
to print the help, so what is heavy is imported inside `run`.
"""

import argparse
from collections.abc import Callable, Iterable
from typing import NamedTuple

from delphi_assets.ground.stage import Fact

Facts = Iterable[tuple[str, Fact]]


_MOST = 10**9


def count(text: str) -> int:
    """An argument that is a number of things."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or not 0 < int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number from 1 to {_MOST}")
    return int(text)


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Add the argument that says which profile."""
    parser.add_argument(
        "profile",
        metavar="PROFILE",
        nargs="?",
        help="name or path of a profile; else that of DELPHI_ASSETS_PROFILE, else "
        "profile.toml in this folder, else demo",
    )


class Command(NamedTuple):
    """One command of `delphi-assets`."""

    name: str
    help: str
    """What it does, in a line of the help."""
    arguments: Callable[[argparse.ArgumentParser], None]
    """Adds its arguments."""
    run: Callable[[argparse.Namespace], Facts]
    """Does it, and returns the facts to print; raises `DelphiAssetsError`."""
