"""The record of a run: what was measured, and what one must know to compare it with another run.

In: the name of a benchmark, its options, and what it `Measured`. Out: a `Record`, as JSON a file
`benchmarks/results/<benchmark>/<date>.json`. It says nothing of the machine's name or folders: of a
path among the options only the last part is kept.

Imports nothing but the standard library, as some benchmarks have a side that runs where this
project is not installed.
"""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = {
    "datasets": "datasets",
    "delphi": "eai-delphi",
    "duckdb": "duckdb",
    "litellm": "litellm",
    "numpy": "numpy",
    "playwright": "playwright",
    "polars": "polars",
    "pyarrow": "pyarrow",
    "sae_lens": "sae-lens",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "torch": "torch",
    "transformers": "transformers",
}
"""Distributions that numbers hang on, by what they are imported as."""


@dataclass(frozen=True)
class Number:
    """A value, or one of each repeat, and its unit."""

    value: float | list[float]
    unit: str


Numbers = dict[str, Number]


@dataclass(frozen=True)
class Measured:
    """What a benchmark comes to."""

    numbers: Numbers
    shown: dict[str, object] = field(default_factory=dict)
    """What is no number, as JSON takes it."""
    wrong: list[str] = field(default_factory=list)
    """What must not be; a run with any ends with status 1."""


@dataclass(frozen=True)
class Machine:
    """Where a benchmark ran."""

    processor: str
    cores: int
    """Those that the process may use."""
    memory_gib: float
    load: float
    """Processes that ran or waited beside it, mean of the minute before it began."""


@dataclass(frozen=True)
class Record:
    """A run."""

    benchmark: str
    date: str
    """When it began, in UTC."""
    commit: str
    """Empty where there is no checkout."""
    changed: bool
    """Whether the code differed from the commit's."""
    machine: Machine
    python: str
    packages: dict[str, str]
    """Versions of those of `PACKAGES` that the process had loaded."""
    options: dict[str, object]
    numbers: Numbers
    shown: dict[str, object]
    wrong: list[str]

    @property
    def text(self) -> str:
        """As JSON, each number on a line of its own."""
        fields = asdict(self)
        numbers = fields.pop("numbers")
        lines = [f"{json.dumps(name)}: {json.dumps(of)}" for name, of in numbers.items()]
        whole = json.dumps({**fields, "numbers": "NUMBERS"}, indent=1, sort_keys=True)
        return whole.replace('"NUMBERS"', "{\n  " + ",\n  ".join(lines) + "\n }") + "\n"


class Start(NamedTuple):
    """What is to be known before a run."""

    time: datetime
    load: float


def in_unit(unit: str, **values: float | list[float]) -> Numbers:
    """Numbers of one unit, by name."""
    return {name: Number(value, unit) for name, value in values.items()}


def of(subject: str, numbers: Mapping[str, Number]) -> Numbers:
    """Numbers under names that say whose they are."""
    return {f"{subject}: {name}": number for name, number in numbers.items()}


def start() -> Start:
    """Now."""
    return Start(datetime.now(UTC), os.getloadavg()[0])


def made(benchmark: str, options: Mapping[str, object], measured: Measured, began: Start) -> Record:
    """The record of a run that just ended, in the process that ran it."""
    return Record(
        benchmark=benchmark,
        date=f"{began.time:%Y-%m-%dT%H:%M:%SZ}",
        commit=_git("rev-parse", "HEAD"),
        changed=bool(_git("status", "--porcelain", "--", ".", ":!benchmarks/results")),
        machine=_machine(began.load),
        python=platform.python_version(),
        packages={
            name: version(name) for module, name in PACKAGES.items() if module in sys.modules
        },
        options={name: _shown(value) for name, value in options.items()},
        numbers=measured.numbers,
        shown=measured.shown,
        wrong=measured.wrong,
    )


def write(record: Record, results: Path = RESULTS) -> Path:
    """Write the file of a record; returns it."""
    path = results / record.benchmark / file_name(record)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.text, encoding="utf-8")
    return path


def file_name(record: Record) -> str:
    """The name of its file, by which records of a benchmark are in order."""
    return f"{record.date.replace(':', '')}.json"


def read(results: Path = RESULTS) -> Iterator[Record]:
    """The records that are kept, by benchmark and date."""
    for path in sorted(results.glob("*/*.json")):
        fields = json.loads(path.read_text(encoding="utf-8"))
        numbers = {name: Number(**of) for name, of in fields.pop("numbers").items()}
        yield Record(**{**fields, "machine": Machine(**fields["machine"])}, numbers=numbers)


def _machine(load: float) -> Machine:
    told = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.+)", told.read_text("utf-8") if told.exists() else "")
    # Linux alone has it.
    affinity = getattr(os, "sched_getaffinity", None)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        processor=models[0] if models else platform.machine(),
        cores=len(affinity(0)) if affinity is not None else os.cpu_count() or 1,
        memory_gib=round(pages / 2**30, 1),
        load=round(load, 1),
    )


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _shown(value: object) -> object:
    """An option as JSON; of a place only the last part."""
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    if isinstance(value, Path) or (isinstance(value, str) and re.match(r"/|\w+://", value)):
        return PurePosixPath(value).name
    return value
