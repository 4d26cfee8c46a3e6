"""`delphi-assets --print-completion SHELL`: what a shell needs to complete the command, by shtab.

In: the parser of the command. Out: a script. Commands, options and their values are completed, and
files and folders where an argument names one.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

SHELLS = ("bash", "zsh", "tcsh")
_FOLDERS, _FILES = {"DIR", "FOLDER", "LAKE"}, {"FILE", "PROFILE"}
"""What arguments that name a place are called in the help."""


class PrintCompletion(argparse.Action):
    """Prints the script and ends, as `--help` does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        """Print it."""
        import shtab

        # shtab reads an attribute that argparse's actions do not declare.
        for action in _actions(parser):
            if action.metavar in _FOLDERS:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
            elif action.metavar in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
        sys.stdout.write(f"{shtab.complete(parser, str(values))}\n")
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
