"""The command `delphi-assets`; `delphi-assets --help` lists what it can be told, a module each.

What was done goes to standard output, a fact a line. An error is one line on standard error.
`STATUSES` are the exit statuses there are.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from delphi_assets.commands import (
    add_labels,
    calibrate,
    catalogue,
    check,
    estimate,
    export_delphi,
    export_neuronpedia,
    export_table,
    import_delphi,
    init,
    plant,
    remove_labels,
    report,
    run,
    sql,
    try_latent,
    upgrade,
    vacuum,
    verify,
)
from delphi_assets.commands.completion import SHELLS, PrintCompletion
from delphi_assets.errors import DelphiAssetsError
from delphi_assets.ground.columns import fact
from delphi_assets.ground.key_shapes import masked
from delphi_assets.ground.library_version import library_version

COMMANDS = {
    module.COMMAND.name: module.COMMAND
    for module in (
        init,
        check,
        run,
        try_latent,
        sql,
        report,
        catalogue,
        export_table,
        export_neuronpedia,
        import_delphi,
        export_delphi,
        add_labels,
        remove_labels,
        plant,
        calibrate,
        estimate,
        verify,
        upgrade,
        vacuum,
    )
}

DONE, REFUSED, MISUSED, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141
STATUSES = {
    DONE: "it is done",
    REFUSED: "an error that this library raises on purpose; standard error says what and why",
    MISUSED: "the arguments are wrong; standard error says how they are used",
    INTERRUPTED: "Ctrl-C; what was finished is kept",
    UNREAD: "nobody reads the output any more, as behind `| head`; it ends in silence",
}
"""What the exit status says. Any other one is not ours: a fault with a traceback also ends with 1,
and a signal that kills the process with 128 and its number, as in 143 for SIGTERM."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (the process's own without any); returns its status."""
    asked = _parser().parse_args(arguments)
    try:
        for name, value in COMMANDS[asked.command].run(asked):
            sys.stdout.write(f"{fact(name, value, sys.stdout.isatty())}\n")
        sys.stdout.flush()
    except DelphiAssetsError as error:
        _complain(str(error))
        return REFUSED
    except UnicodeEncodeError as error:
        _complain(
            f"standard output is {error.encoding}, which has no "
            f"{error.object[error.start : error.end]!a}; expected UTF-8, as with "
            "PYTHONIOENCODING=utf-8 in the environment."
        )
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except RuntimeError as error:
        # DuckDB says with an error of its own that Ctrl-C stopped a query.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        return INTERRUPTED
    except BrokenPipeError:
        # Python would complain when it flushes what is left at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    return DONE


def _complain(text: str) -> None:
    """Say what is wrong in one line, without the keys that somebody may have typed."""
    from delphi_assets.ground.secrets import Scrubber

    line = masked(Scrubber()(" ".join(text.split())))
    sys.stderr.write(f"delphi-assets: {line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="delphi-assets",
        description="Run profiles, ask a lake, write it elsewhere, read runs of Delphi.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        help="print what a shell needs to complete this command with Tab",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS.values():
        command.arguments(
            commands.add_parser(command.name, help=command.help, description=command.help)
        )
    return parser


def _version() -> str:
    return library_version() or "(not installed: this Python only finds its source)"
