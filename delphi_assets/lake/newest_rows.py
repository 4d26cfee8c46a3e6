"""Of what version a growing table is at a hookpoint: a digest over its newest rows.

In: a place, and the name of a growing table. Out: a digest that is another one when a row that the
table's view shows is, and the same whatever files the rows lie in, and in whatever order.

It is kept beside the manifests with the generation of the last rows that it covers, so that only
rows that were added since have it computed anew (`sql/versions/`).
"""

import hashlib
import json

from delphi_assets.lake.database import connect, query
from delphi_assets.lake.manifests import folder_of
from delphi_assets.lake.place import Place


def newest_rows_version(place: Place, table: str) -> str:
    """The digest of `explanations` or `predictions` at a hookpoint, kept for who asks next.

    Raises `DataError` for a damaged file, `StorageError` when it cannot be kept.
    """
    lake, path = place.lake, f"manifests/versions/{folder_of(table, place.keys)}.json"
    # Before they are read: of rows that come meanwhile the next one learns.
    generation = lake.generation(table, place.keys)
    kept = lake.read_json(path) or {}
    if generation and kept.get("generation") == generation:
        return str(kept["digest"])
    with connect(lake, up_to_date=False) as con:
        [row] = query(
            con, f"versions/{table}", run=place.run, hookpoint=place.hookpoint
        ).to_pylist()
    told = f"{row['n_rows']} {row['hashes']}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:16]
    if generation:
        lake.write_text(path, json.dumps({"generation": generation, "digest": digest}))
    return digest
