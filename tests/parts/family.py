"""Processes that a process has started, and whether they are still there (reads /proc)."""

from pathlib import Path


def family(parent: int) -> list[int]:
    """A process and all that it has started, itself first."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (fields := _fields(int(path.name))):
            children.setdefault(int(fields[1]), []).append(int(path.name))
    found = [parent]
    for one in found:
        found += children.get(one, [])
    return found


def runs(process: int) -> bool:
    """Whether a process has not ended; one whose status nobody has asked for has."""
    fields = _fields(process)
    return bool(fields) and fields[0] != "Z"


def _fields(process: int) -> list[str]:
    """State, parent and so on; nothing of a process that is gone."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return []
    return stat.rpartition(")")[2].split()
