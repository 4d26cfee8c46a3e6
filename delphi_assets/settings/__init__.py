"""Settings: one TOML profile, read into frozen typed sections before anything is computed.

Names are Delphi's where Delphi has one. `profile_files` finds and reads a profile, `sections` says
what may stand in it, `profile` what has to hold between sections, `problems` what is wrong, in
words.
"""

from delphi_assets.settings.earlier import as_made
from delphi_assets.settings.options import Options
from delphi_assets.settings.profile import Profile, check_selection, with_earlier
from delphi_assets.settings.profile_files import (
    OWN_PROFILE,
    PROFILE_VARIABLE,
    load_profile,
    override,
    parse_profile,
    profile_path,
    usual_profile,
)
from delphi_assets.settings.run_profile import profile_of_run
from delphi_assets.settings.sections import (
    EMBEDDED_ENCODER,
    FLOORS,
    LONGEST_CONTEXT,
    RANDOM_ROWS,
    SHUFFLED_ROWS,
    TRAIN,
    CacheSettings,
    CoderSettings,
    CorpusSettings,
    ExplainSettings,
    LLMSettings,
    ModelSettings,
    NeighbourSettings,
    ScoreSettings,
    SelectionSettings,
    ServerSettings,
)

__all__ = [
    "EMBEDDED_ENCODER",
    "FLOORS",
    "LONGEST_CONTEXT",
    "OWN_PROFILE",
    "PROFILE_VARIABLE",
    "RANDOM_ROWS",
    "SHUFFLED_ROWS",
    "TRAIN",
    "CacheSettings",
    "CoderSettings",
    "CorpusSettings",
    "ExplainSettings",
    "LLMSettings",
    "ModelSettings",
    "NeighbourSettings",
    "Options",
    "Profile",
    "ScoreSettings",
    "SelectionSettings",
    "ServerSettings",
    "as_made",
    "check_selection",
    "load_profile",
    "override",
    "parse_profile",
    "profile_of_run",
    "profile_path",
    "usual_profile",
    "with_earlier",
]
