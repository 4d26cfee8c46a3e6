"""Many calls to a server that fails in every way (`tests/parts/fault_run.py`), stopped and asked
again.

    python -m benchmarks.llm_faults --questions 10000

Prints what came of it as JSON. Needs a checkout: the server is the tests' own.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from delphi_assets.llm.calls import attempts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    from tests.parts.fault_run import run

    parser = argparse.ArgumentParser(prog="python -m benchmarks.llm_faults", description=__doc__)
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--max-concurrent", type=int, default=64)
    parser.add_argument("--first-pause", type=float, default=0.1, help="seconds to the first retry")
    given = parser.parse_args(arguments)
    attempts.FIRST_PAUSE = given.first_pause
    folder = Path(tempfile.mkdtemp())
    try:
        json.dump(
            run(folder, given.questions, given.max_concurrent)._asdict(), sys.stdout, indent=1
        )
        sys.stdout.write("\n")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
