"""Labels in a file of the user's: a row a latent, a column a name.

In: a CSV or Parquet file. Out: latents as numbers, and every other column as text and as numbers.

1. CSV is UTF-8, with or without a byte order mark, its fields apart by commas, semicolons or tabs:
   whichever makes `latent` one of the names. An empty field is no label.
2. Columns of Parquet are texts, whole or other numbers, or true and false. Null and NaN are no
   label.
3. A text is a number where it reads as a finite one. So the same labels come of both formats.
"""

import codecs
import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from delphi_assets.errors import DataError, SettingError
from delphi_assets.ground.shown_values import shown
from delphi_assets.latent_ranges import LAST_LATENT

LATENT, RUN, HOOKPOINT = "latent", "run", "hookpoint"
_DELIMITERS = ",;\t"
_HEADER_BYTES = 2**20
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_WHOLE = r"^\s*\d{1,10}(\.0*)?\s*$"
_ROWS_ARE = "rows count from 1, without the line of names"


class GivenColumn(NamedTuple):
    """A column of labels: a text for each row, null where there is none."""

    name: str
    values: pa.ChunkedArray


class LabelFile(NamedTuple):
    """What a file holds."""

    latents: pa.ChunkedArray
    """The latent of each row, int32."""
    runs: pa.ChunkedArray | None
    """The run of each row; None without such a column."""
    hookpoints: pa.ChunkedArray | None
    columns: list[GivenColumn]


def read_labels(path: Path) -> LabelFile:
    """The labels in a file.

    Raises `SettingError` for another format than .csv, .tsv or .parquet, `DataError` for a file
    that cannot be read, without a column latent or without any other, with a name that stands
    twice, a column of another type, or a latent that is no number.
    """
    if path.suffix.lower() not in _READERS:
        raise SettingError(
            f"{path} ends in {path.suffix!r}; expected .csv, .tsv or .parquet, by which the format "
            "is chosen."
        )
    try:
        table = _READERS[path.suffix.lower()](path)
    except (OSError, pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read ({error}); expected CSV in UTF-8, or Parquet."
        ) from error
    table = _named(path, table)
    _check_names(path, table)
    texts = {name: _texts(path, name, table[name]) for name in table.column_names}
    latents = _latents(path, texts.pop(LATENT))
    runs, hookpoints = (
        _place(path, name, texts.pop(name)) if name in texts else None for name in (RUN, HOOKPOINT)
    )
    if not texts:
        raise DataError(
            f"{path} has the columns {shown(table.column_names)}; expected one of labels beside."
        )
    columns = [GivenColumn(name, values) for name, values in texts.items()]
    return LabelFile(latents, runs, hookpoints, columns)


def numbers(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as numbers, float64; null where they are none, or none that is finite."""
    are = pc.match_substring_regex(values, _NUMBER)
    read = pc.cast(pc.utf8_trim_whitespace(pc.if_else(are, values, None)), pa.float64())
    return pc.if_else(pc.is_finite(read), read, None)


def _named(path: Path, table: pa.Table) -> pa.Table:
    """The columns that have a name, as spreadsheets write empty ones that have none."""
    names = [name.strip() for name in table.column_names]
    for name, values in zip(names, table.columns, strict=True):
        if not name and pc.any(pc.not_equal(values.cast(pa.string()), "")).as_py():
            raise DataError(
                f"{path} has a column without a name; expected one. pandas writes its index so, "
                "unless it is told `index=False`."
            )
    kept = [place for place, name in enumerate(names) if name]
    return table.rename_columns(names).select(kept)


def _check_names(path: Path, table: pa.Table) -> None:
    names = table.column_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path} has the column {shown(twice[0])} twice; expected each name once.")
    if LATENT not in names:
        raise DataError(
            f"{path} has the columns {shown(names)}; expected one called {LATENT!r}, the number of "
            "the latent."
        )


def _texts(path: Path, name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as texts, null where there is no label."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_float16(kind):
        values = values.cast(pa.float32())
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_nan(values), None, values)
    if not any(is_one(kind) for is_one in _KINDS):
        raise DataError(
            f"{path} has {kind} in the column {shown(name)}; expected texts, numbers, or true and "
            "false. Leave it out, or write it as text."
        )
    texts = pc.cast(values, pa.string())
    return pc.if_else(pc.equal(texts, ""), None, texts)


_KINDS: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_boolean,
    pa.types.is_null,
)


def _latents(path: Path, texts: pa.ChunkedArray) -> pa.ChunkedArray:
    are = pc.fill_null(pc.match_substring_regex(texts, _WHOLE), fill_value=False)
    whole = pc.replace_substring_regex(pc.if_else(are, texts, None), r"\..*$", "")
    found = pc.cast(pc.utf8_trim_whitespace(whole), pa.int64())
    wrong = pc.invert(pc.fill_null(pc.less_equal(found, LAST_LATENT), fill_value=False))
    if pc.any(wrong).as_py():
        row = pc.index(wrong, True).as_py()
        raise DataError(
            f"{path} has the latent {shown(texts[row].as_py())} in row {row + 1} ({_ROWS_ARE}); "
            f"expected a number from 0 to {LAST_LATENT}."
        )
    return found.cast(pa.int32())


def _place(path: Path, name: str, texts: pa.ChunkedArray) -> pa.ChunkedArray:
    if texts.null_count:
        row = pc.index(pc.is_null(texts), True).as_py()
        raise DataError(
            f"{path} has no {name} in row {row + 1} ({_ROWS_ARE}); expected one in every row, or "
            "no such column."
        )
    return texts


def _read_csv(path: Path) -> pa.Table:
    with path.open("rb") as file:
        # In steps, as a character may be cut at the end of what is read.
        start = codecs.getincrementaldecoder("utf-8-sig")().decode(file.read(_HEADER_BYTES))
    delimiter, names = _header(start)
    numbered = [str(number) for number in range(len(names))]
    table = pyarrow.csv.read_csv(
        path,
        pyarrow.csv.ReadOptions(column_names=numbered, skip_rows_after_names=1),
        pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(numbered, pa.string()), strings_can_be_null=False
        ),
    )
    return table.rename_columns(names)


def _header(start: str) -> tuple[str, list[str]]:
    """The delimiter, and the names in the first line."""
    found = [(one, _names(start, one)) for one in _DELIMITERS]
    return next((pair for pair in found if LATENT in map(str.strip, pair[1])), found[0])


def _names(start: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(start, newline=""), delimiter=delimiter), [])


def _read_parquet(path: Path) -> pa.Table:
    # Not `read_table`, which makes columns of folders such as run=demo.
    return pq.ParquetFile(path).read()


_READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
}
