"""What a later version of this library may add: settings, and columns of tables.

`add_settings` stands in for its code while a test runs.
"""

from typing import Any

import pytest
from pydantic import Field, create_model

from delphi_assets import settings
from delphi_assets.settings import Profile

SETTING = "later"


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
    monkeypatch.setattr(settings, "Profile", made)


class _Later(Profile):
    """Counts the new setting of the cache among those that a run name stands for."""

    def run_config(self) -> dict[str, object]:
        later = getattr(self.cache, SETTING, None)
        return {**super().run_config(), **({} if later is None else {"cache.later": later})}
