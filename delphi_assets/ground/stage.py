"""What every stage returns: what is there now, what this call added, how long it took."""

from dataclasses import dataclass, field

Fact = int | float | str | bool


@dataclass(frozen=True)
class StageReport:
    """Outcome of a stage for one partition."""

    rows: int
    """Rows of the stage's table that are there now for this partition."""
    new_rows: int
    """Rows this call added; 0 when everything was there already."""
    seconds: float
    """Wall time of this call."""
    bytes: int = 0
    """Bytes on disk of the partition, where files are counted."""
    facts: dict[str, Fact] = field(default_factory=dict)
    """What else a person wants to see, by name."""
    data_version: str | None = None
    """Of what the table holds for this partition, where that is known; another one for other rows,
    and the same where a call has added nothing."""
    code_versions: tuple[int, ...] = ()
    """Of the code that made the rows that were asked for, where manifests say it."""
    outdated: str | None = None
    """What has changed since the rows were made that were not made again, and the way out."""
