"""The command `delphi-assets`; `delphi-assets --help` lists what it can be told, a module each.

What was done goes to standard output, a fact a line. An error is one line on standard error, and
the exit status 1; 2 where the arguments are wrong, 130 after Ctrl-C or SIGTERM. When nobody reads
the output any more, as behind `| head`, it ends in silence with 141, as other programs do.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from delphi_assets.commands import (
    estimate,
    export_delphi,
    export_neuronpedia,
    export_table,
    import_delphi,
    report,
    sql,
    upgrade,
    verify,
)
from delphi_assets.errors import DelphiAssetsError
from delphi_assets.ground.key_shapes import masked

COMMANDS = {
    module.COMMAND.name: module.COMMAND
    for module in (
        sql,
        report,
        export_table,
        export_neuronpedia,
        import_delphi,
        export_delphi,
        estimate,
        verify,
        upgrade,
    )
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (the process's own without any); returns its status."""
    asked = _parser().parse_args(arguments)
    try:
        for name, value in COMMANDS[asked.command].run(asked):
            sys.stdout.write(f"{name}: {value}\n")
        sys.stdout.flush()
    except DelphiAssetsError as error:
        _complain(str(error))
        return 1
    except UnicodeEncodeError as error:
        _complain(
            f"standard output is {error.encoding}, which has no "
            f"{error.object[error.start : error.end]!a}; expected UTF-8, as with "
            "PYTHONIOENCODING=utf-8 in the environment."
        )
        return 1
    except KeyboardInterrupt:
        return 130
    except RuntimeError as error:
        # DuckDB says with an error of its own that Ctrl-C stopped a query.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        return 130
    except BrokenPipeError:
        # Python would complain when it flushes what is left at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


def _complain(text: str) -> None:
    """Say what is wrong in one line, without the keys that somebody may have typed."""
    from delphi_assets.ground.secrets import Scrubber

    line = masked(Scrubber()(" ".join(text.split())))
    sys.stderr.write(f"delphi-assets: {line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="delphi-assets", description="Ask a lake, write it elsewhere, read runs of Delphi."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS.values():
        command.arguments(
            commands.add_parser(command.name, help=command.help, description=command.help)
        )
    return parser
