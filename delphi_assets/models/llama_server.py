"""A GGUF file behind llama.cpp's OpenAI-compatible server, in a process of its own.

In: the file, and how it is served (`Serving`). Out: the server's base URL, on loopback, at a port
that was free.

1. The first call for a file starts a process that loads it, and says its address when it answers
   (`address`). Later calls in this process get the same one; one that has ended is started anew, at
   the same address.
2. The process ends with the one that asked for it, however that ends, because its standard input
   does. Neither the terminal's Ctrl-C nor SIGTERM, which a scheduler sends to all processes of a
   job, ends it earlier, so that questions that are open get their answers.

Only who knows the key is answered: others on the machine can reach the port, too. What llama.cpp
prints goes into a file that has no name, and its end into the error when the server does not start.
"""

import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from delphi_assets.errors import DataError, ServerError
from delphi_assets.models.gguf import gguf_file

if TYPE_CHECKING:
    import xllamacpp

PATIENCE = 300.0
"""Seconds that loading a file may take."""
_SHOWN = 1_000
"""Characters of what the server printed that an error shows."""
_REUSED_MIB = 256
"""Memory for beginnings of prompts that another prompt took the place of."""


class Serving(NamedTuple):
    """How a file is served."""

    context: int = 8_192
    """Tokens that a question and its answer may have."""
    slots: int = 1
    """Questions that are answered at a time."""
    threads: int | None = None
    """Processors that compute; None for all that this process may use."""


class Address(NamedTuple):
    """Where a server answers."""

    url: str
    """Base URL, with /v1 at its end."""
    key: str
    """What it wants as bearer token."""


class _Started(NamedTuple):
    process: subprocess.Popen[bytes]
    address: Address


_started: dict[tuple[str, Serving], _Started] = {}
_starting = threading.Lock()


def address(name: str, serving: Serving) -> Address:
    """Where the model of `name` answers, started if it does not run.

    Raises as `gguf_file`, `DataError` without xllamacpp, `ServerError` when it does not start.
    """
    with _starting:
        known = _started.get((name, serving))
        if known is None or known.process.poll() is not None:
            file = gguf_file(name)
            before = known and known.address
            _started[name, serving] = known = _start(file, serving, before)
        return known.address


def _start(file: Path, serving: Serving, before: Address | None) -> _Started:
    """Start a server, where one was before if there was one."""
    key = before.key if before else secrets.token_urlsafe()
    port = urlsplit(before.url).port if before else 0
    # A process finds the modules that its parent finds. The key is in no argument that others see.
    told = {
        "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
        "DELPHI_ASSETS_SERVER_KEY": key,
    }
    given = json.dumps({"file": str(file), "port": port, **serving._asdict()})
    command = [sys.executable, "-P", "-c", f"from {__name__} import main; main()", given]
    with tempfile.TemporaryFile() as printed:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                env=os.environ | told,
                process_group=0,
            )
        except OSError as error:
            raise _not_started(file, f"{command[0]} cannot be started: {error}") from error
        assert process.stdout is not None
        if not (url := _line(process.stdout)):
            process.kill()
            code = process.wait()
            why = _tail(printed) or f"its process ended with code {code}"
            raise _not_started(file, why)
    return _Started(process, Address(f"{url}/v1", key))


def _line(stream: IO[bytes]) -> str:
    """The first line, or nothing when the process ends or takes too long."""
    with selectors.DefaultSelector() as ready:
        ready.register(stream, selectors.EVENT_READ)
        return stream.readline().decode().strip() if ready.select(PATIENCE) else ""


def _tail(printed: IO[bytes]) -> str:
    printed.seek(0)
    return printed.read().decode(errors="replace").strip()[-_SHOWN:]


def _not_started(file: Path, why: str) -> Exception:
    if "No module named 'xllamacpp'" in why:
        return DataError(
            "serving a model on this machine needs the package 'xllamacpp', which is not "
            "installed; install it with: pip install 'delphi-assets[llm]'"
        )
    return ServerError(
        f"the server of {file} did not start: {why}; expected a GGUF file that this xllamacpp can "
        "read, and memory for it and its context ([llm.options.local] context and slots)."
    )


def main() -> None:
    """Serve a file until standard input ends. Runs in the process that `address` starts."""
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, signal.SIG_IGN)
    # What llama.cpp prints must not get before the address.
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        server = _serve(**json.loads(sys.argv[1]))
    except (ImportError, RuntimeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    told.write(f"{server.listening_address}\n")
    told.close()
    sys.stdin.buffer.read()
    # Without waiting for an answer that nobody wants any more.
    os._exit(0)


def _serve(
    file: str, port: int, context: int, slots: int, threads: int | None
) -> "xllamacpp.Server":
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = file
    params.port, params.api_keys = port, [os.environ.pop("DELPHI_ASSETS_SERVER_KEY")]
    params.n_ctx, params.n_parallel = context * slots, slots
    params.cache_ram_mib, params.swa_full = _REUSED_MIB, True
    params.warmup, params.ui = False, False
    computing = threads or len(os.sched_getaffinity(0))
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = computing
    return xllamacpp.Server(params)
