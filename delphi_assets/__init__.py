"""Explain and score the latents of sparse coders over a Parquet lake queried with DuckDB SQL."""

from delphi_assets.lake.database import connect
from delphi_assets.lake.lake import Lake
from delphi_assets.reading.hookpoint import Hookpoint
from delphi_assets.settings import Profile, load_profile

__all__ = ["Hookpoint", "Lake", "Profile", "connect", "load_profile"]
