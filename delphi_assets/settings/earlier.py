"""Settings of what an earlier version made.

In: settings that are stored. Out: a section as it was when they were, where nobody says otherwise.
"""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel

S = TypeVar("S", bound=BaseModel)


def before(section: type[BaseModel]) -> dict[str, object]:
    """Of settings that were added or whose default has changed, what was done before that.

    A setting says so where it is declared: `Field(True, json_schema_extra={"before": False})`.
    """
    return {
        name: field.json_schema_extra["before"]
        for name, field in section.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and "before" in field.json_schema_extra
    }


def as_made(section: S, stored: Mapping[str, object], prefix: str = "") -> S:
    """`section` for what was made with the settings `stored`; as it is when there are none.

    A setting that was not there before, or had another default, and that nobody has given is what
    it was: new defaults are for new runs and new selections. `prefix` stands before the names in
    `stored`.
    """
    if not stored:
        return section
    unsaid = {
        name: stored.get(prefix + name, earlier)
        for name, earlier in before(type(section)).items()
        if name not in section.model_fields_set
    }
    return section.model_copy(update=unsaid)
