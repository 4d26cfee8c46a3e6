"""Memory of a process, MiB. Reads /proc, so it needs Linux."""

from pathlib import Path


def reset_peak() -> None:
    """Forget this process's peak of memory."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak() -> float:
    """This process's peak of resident memory since its start or `reset_peak`."""
    return _status("self", "VmHWM:")


def resident(pid: int | str = "self") -> float:
    """What is resident of a process now; nothing is of a zombie."""
    return _status(pid, "VmRSS:")


def _status(pid: int | str, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0) / 1024
