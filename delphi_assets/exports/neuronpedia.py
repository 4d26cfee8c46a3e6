"""Neuronpedia's bulk files, with scores beside them.

In: an opened hookpoint, and what Neuronpedia calls its model and source. Out: a folder, there whole
or not at all, with the same bytes for the same lake:

    v1/<model_id>/<layer>-<source_set>/
        release.jsonl, model.jsonl, sourceset.jsonl, source.jsonl     a line each
        features/batch-<n>.jsonl.gz        every latent (`neuronpedia_rows.feature`)
        activations/batch-<n>.jsonl.gz     the windows of a selection in which it fires
        explanations/batch-<n>.jsonl.gz    its best explanation
        scores/batch-<n>.jsonl.gz          its scores, which the format has no rows for

1,024 latents a batch, beginning at 0. A batch is in memory at a time.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from delphi_assets.errors import NotReadyError
from delphi_assets.exports import neuronpedia_rows as rows_of
from delphi_assets.exports.hookpoint import ExportedHookpoint, LatentBatch
from delphi_assets.exports.neuronpedia_names import NeuronpediaSource
from delphi_assets.exports.targets import whole
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.progress import with_bar

LATENTS_IN_BATCH = 1_024
_ROWS_AT_ONCE = 2_048


@dataclass
class ExportedBulk:
    """Where the files are, and the rows in them."""

    folder: Path
    features: int = 0
    activations: int = 0
    explanations: int = 0
    descriptions_cut: int = 0
    """Explanations longer than the format allows, which were cut."""
    scores: int = 0
    bytes: int = 0


@terminable()
def export_bulk(
    source: ExportedHookpoint, named: NeuronpediaSource, selection: str, folder: Path
) -> ExportedBulk:
    """Write the bulk files of a hookpoint below `folder`, with windows of `selection`.

    Raises `DataError` when its folder is there already, `NotReadyError` when the selection has no
    windows, `StorageError` when it cannot be written.
    """
    target = folder / "v1" / named.model_id / named.source_id
    written = ExportedBulk(target)
    with whole(target) as made:
        made.mkdir()
        bulk = _Bulk(source, named, selection, made)
        ranges = list(source.ranges(LATENTS_IN_BATCH))
        for of in with_bar(ranges, desc=f"export {named.source_id}", unit="batch"):
            bulk.write(of, written)
        if not written.activations:
            raise NotReadyError(
                f"there are no windows of selection {selection!r} at {source.hookpoint!r}, run "
                f"{source.run!r}; materialize the asset 'examples', or name another selection."
            )
        for name, row in rows_of.descriptions(named, source.described_at):
            (made / f"{name}.jsonl").write_bytes(_line(row))
        made.chmod(0o755)
    written.bytes = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return written


@dataclass(frozen=True)
class _Bulk:
    """The files on their way: `folder` is where they are made."""

    source: ExportedHookpoint
    named: NeuronpediaSource
    selection: str
    folder: Path

    def write(self, of: LatentBatch, written: ExportedBulk) -> None:
        """Write a batch, and count its rows in `written`."""
        named, source = self.named, self.source
        features = [rows_of.feature(named, row) for row in _each(source.features(of))]
        described = {row["index"]: row["createdAt"] for row in features}
        windows = (
            rows_of.activation(named, row, described.get(str(row["latent"])))
            for row in _each(source.windows(of, self.selection))
        )
        best = source.explanations(of).to_pylist()
        explanations = (rows_of.explanation(named, row) for row in best)
        scores = (rows_of.score(named, row) for row in _each(source.scores(of)))
        written.features += self._file("features", of, features)
        written.activations += self._file("activations", of, windows)
        written.explanations += self._file("explanations", of, explanations)
        written.scores += self._file("scores", of, scores)
        longest = rows_of.LONGEST_DESCRIPTION
        written.descriptions_cut += sum(len(row["explanation"]) > longest for row in best)

    def _file(self, kind: str, of: LatentBatch, rows: Iterable[rows_of.Row]) -> int:
        (self.folder / kind).mkdir(exist_ok=True)
        path = self.folder / kind / f"batch-{of.number}.jsonl.gz"
        count = 0
        # Without time and name in its header a file with the same rows has the same bytes.
        with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
            for row in rows:
                packed.write(_line(row))
                count += 1
        return count


def _each(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(_ROWS_AT_ONCE):
        yield from batch.to_pylist()


def _line(row: object) -> bytes:
    return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"
