"""Mutants of everything that is read (`tests/parts/odd_input.py`): none may end in a foreign error.

    python -m benchmarks.bad_input --mutants 2000

Prints, for each kind of input, how many were read, how many were refused and with what, and every
one that ended in another library's error, hung, or executed a pickle; the exit status is 1 then.
Needs a checkout: the readers are put together by the tests.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 where something was found."""
    os.environ["TQDM_DISABLE"] = "1"
    from tests.parts.odd_input import KINDS, fuzz

    parser = argparse.ArgumentParser(prog="python -m benchmarks.bad_input", description=__doc__)
    parser.add_argument("--mutants", type=int, default=2_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=22)
    parser.add_argument("--kind", choices=tuple(KINDS), action="append")
    given = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    found = 0
    for kind in given.kind or KINDS:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            run = fuzz(kind, given.mutants, given.seed, Path(folder))
        refused = ", ".join(f"{name} {count}" for name, count in run.refused.most_common())
        seconds = time.perf_counter() - started
        sys.stdout.write(
            f"{kind}: {run.mutants} mutants, {run.read} read, refused: {refused or 'none'}; "
            f"foreign or hung {len(run.odd)}, executed {run.trapped}; {seconds:.0f} s\n"
        )
        for odd in run.odd:
            sys.stdout.write(f"    {odd.mutant}: {odd.change[:120]!a} -> {odd.error!a}\n")
        sys.stdout.flush()
        found += len(run.odd) + run.trapped
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
