"""SIGTERM, by which schedulers and containers stop a process, treated as Ctrl-C is.

In: work that can be interrupted. Out: the same work; while it is done, SIGTERM raises
`KeyboardInterrupt` in the main thread, so that whatever Ctrl-C would keep is kept.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM interrupts what is done in this block.

    A handler that there is stays (Dagster has one that interrupts its run, a server its own), and
    so does SIGTERM being ignored. Only the main thread can handle signals: elsewhere, nothing
    changes.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
