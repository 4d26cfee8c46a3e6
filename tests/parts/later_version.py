"""What a later version of this library may add: settings, and columns of tables.

`add_settings` and `add_columns` stand in for its code while a test runs.
"""

import sys
from typing import Any

import pyarrow as pa
import pytest
from pydantic import Field, create_model

from delphi_assets.lake.schema import INTERMEDIATE, TABLES, Column
from delphi_assets.settings import Profile, profile, profile_files

SETTING, COLUMN = "later", "added_later"


def add_settings(monkeypatch: pytest.MonkeyPatch, *sections: str) -> None:
    """Give sections a setting `later` that is true for what is new, where false was before."""
    fields: dict[str, Any] = {}
    for name in sections:
        section: Any = Profile.model_fields[name].annotation
        about: dict[str, Any] = {"json_schema_extra": {"before": False}, "description": "new"}
        later: Any = create_model(
            section.__name__, __base__=section, later=(bool, Field(True, **about))
        )
        required = Profile.model_fields[name].is_required()
        fields[name] = (later, ... if required else Field(default_factory=later))
    made: Any = create_model("Profile", __base__=_Later, **fields)
    for module in (profile, profile_files):
        monkeypatch.setattr(module, "Profile", made)


class _Later(Profile):
    """Counts the new setting of the cache among those that a run name stands for."""

    def run_config(self) -> dict[str, object]:
        later = getattr(self.cache, SETTING, None)
        return {**super().run_config(), **({} if later is None else {"cache.later": later})}


def add_columns(monkeypatch: pytest.MonkeyPatch, *tables: str) -> None:
    """Give tables a column `added_later` of texts, which no stage fills."""
    column = Column(COLUMN, pa.string(), "something new", added=True)
    for name in tables:
        held = TABLES if name in TABLES else INTERMEDIATE
        table = held[name]
        later = table._replace(columns=(*table.columns, column))
        for module in [one for one in sys.modules if one.startswith("delphi_assets")]:
            if getattr(sys.modules[module], name.upper(), None) is table:
                monkeypatch.setattr(f"{module}.{name.upper()}", later)
        monkeypatch.setitem(held, name, later)
