"""How the lake's tables look on disk: Parquet, encoded for what they hold.

In: Arrow rows, whole or as a stream of tables. Out: bytes in a sink, counted and hashed on the way.

Activations are sorted by latent, then position, so both columns are stored as differences
(`DELTA_BINARY_PACKED`), and values with their high bytes apart from their low ones
(`BYTE_STREAM_SPLIT`): half precision leaves the lowest byte of every value empty. `captured` is
read once and removed, and compressed lightly.
"""

import base64
import hashlib
import io
from collections.abc import Iterable
from itertools import chain
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from delphi_assets.lake.schema import Table
from delphi_assets.latent_ranges import Latents

ROW_GROUP = 122_880
"""Rows read at least for one latent's activations: what DuckDB gives one thread."""

_ROW_GROUPS = {
    # Read a latent at a time in notebooks: 50 ms and 6% larger files, instead of 350 ms.
    "examples": 16_384,
    # A list of latents passes over most of them.
    "kept_scores": 8_192,
}

_UNSTORED = {"examples"}
"""Tables whose texts come as dictionaries: Arrow would store that, and readers get dictionaries."""

_ENCODINGS = {
    "latent": "DELTA_BINARY_PACKED",
    "place": "DELTA_BINARY_PACKED",
    "position": "DELTA_BINARY_PACKED",
    "activation": "BYTE_STREAM_SPLIT",
    "max_activation": "BYTE_STREAM_SPLIT",
}
_LEVELS = {
    # 2.99 bytes an activation; level 3 gives 3.08, level 9 takes twice the time for 2.97.
    "activations": 5,
    "captured": 1,
    "windows": 1,
}
"""Compression of the tables that are sorted by latent and encoded for that."""


class HashedSink(io.RawIOBase):
    """A writable file that counts and hashes what goes through it."""

    def __init__(self, sink: BinaryIO) -> None:
        super().__init__()
        self._sink, self._hash, self.size = sink, hashlib.sha256(), 0

    def writable(self) -> bool:
        """True, as PyArrow asks."""
        return True

    def write(self, data: Any) -> int:
        """Pass `data` on."""
        view = memoryview(data)
        self._sink.write(view)
        self._hash.update(view)
        self.size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Bytes written."""
        return self.size

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written."""
        return self._hash.hexdigest()


def write_rows(sink: HashedSink, rows: pa.Table | Iterable[pa.Table], table: Table) -> int:
    """Write `rows` as one Parquet file of `table`; returns how many there were.

    A stream is written table by table, each as row groups of its own, so memory is that of one of
    them. Raises `DataError` for columns that are not the table's.
    """
    parts = iter([rows] if isinstance(rows, pa.Table) else rows)
    first = table.conform(next(parts, table.empty()))
    size, count = _ROW_GROUPS.get(table.name, ROW_GROUP), 0
    options = {"compression": "zstd", "write_page_checksum": True, **_options(table)}
    with pq.ParquetWriter(sink, _described(first.schema, table), **options) as writer:
        for part in chain([first], map(table.conform, parts)):
            if part.num_rows:
                writer.write_table(part, row_group_size=size)
            count += part.num_rows
        if table.name in _UNSTORED:
            writer.add_key_value_metadata(_stored(_described(table.arrow, table)))
    return count


def _described(schema: pa.Schema, table: Table) -> pa.Schema:
    """`schema` with what each column means, for whoever opens a file without this library."""
    said = {column.name: {"description": column.doc} for column in table.columns}
    return pa.schema([field.with_metadata(said[field.name]) for field in schema])


def _stored(schema: pa.Schema) -> dict[str, bytes]:
    """The schema as Arrow stores it in a file that it is told to store none in."""
    return {"ARROW:schema": base64.b64encode(schema.serialize().to_pybytes())}


def row_groups_of(latents: Latents, footer: pq.FileMetaData) -> list[int]:
    """The row groups that may hold one of the latents, by the least and the greatest of each.

    The latent is the first column of every table that has one.
    """
    groups = range(footer.num_row_groups)
    if not latents.ranges:
        return list(groups)
    found = []
    for number in groups:
        ends = footer.row_group(number).column(0).statistics
        if any(start <= ends.max and ends.min < end for start, end in latents.ranges):
            found.append(number)
    return found


def _options(table: Table) -> dict[str, Any]:
    if table.name in _UNSTORED:
        # Statistics of lists help nobody, and take longer than writing dictionaries of texts.
        coded = [field for field in table.arrow if field.name != "activations"]
        return {
            "store_schema": False,
            "use_dictionary": [
                f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
                for field in coded
            ],
            "write_statistics": list(table.identity[-2:]),
        }
    if table.name not in _LEVELS:
        return {}
    return {
        "use_dictionary": False,
        "column_encoding": {name: _ENCODINGS[name] for name in table.arrow.names},
        "compression_level": _LEVELS[table.name],
    }
