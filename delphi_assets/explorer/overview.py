"""The overview of a hookpoint: what the run is, how far its latents got, how good they look."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import duckdb

from delphi_assets.explorer.listing import STATES, Listing
from delphi_assets.explorer.ranges import PAGE, PIECE
from delphi_assets.explorer.site_folder import HookpointPlace
from delphi_assets.lake.database import query
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.units import weights_unit
from delphi_assets.scorers.recall_by_strength import RecallCurve, recall_curves

_KINDS = "none", "shuffled"
"""Controls whose recall by strength is drawn."""


def overview_of(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    place: HookpointPlace,
    listing: Listing,
    pieces: list[int],
) -> dict[str, Any]:
    """The content of the file `overview`, once all latents are in the listing."""
    keys = place._asdict()
    weights = lake.manifest(weights_unit(*place))
    (tokens,) = query(con, "explorer/tokens", run=place.run).to_pylist()
    densities = query(con, "analysis/firing_densities", **keys).to_pylist()
    return {
        **keys,
        "written_at": datetime.now(UTC),
        "page": PAGE,
        "piece": PIECE,
        "pieces": pieces,
        "n_latents": listing.n_latents,
        "n_tokens": tokens["n_tokens"],
        "states": [[state, listing.states[state]] for state in STATES],
        "sets": [one._asdict() for one in listing.sets],
        "columns": [one._asdict() for one in listing.columns],
        "labels": [one._asdict() for one in listing.labels],
        "scorers": query(con, "explorer/scorers").to_pylist(),
        "recall": [_curve(one) for one in recall_curves(con, *place) if one.control in _KINDS],
        "distributions": query(con, "explorer/distributions").to_pylist(),
        "densities": [[row["log10_density"], row["n_latents"]] for row in densities],
        "run_settings": _pairs(lake.run_settings(place.run)),
        "coder": _pairs(weights.facts if weights else {}),
    }


def _curve(curve: RecallCurve) -> dict[str, Any]:
    return {**curve._asdict(), "found": [list(found) for found in curve.found]}


def _pairs(facts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in facts.items() if value is not None]
