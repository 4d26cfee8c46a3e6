"""Export of a run as Delphi's `results/<name>`, for Delphi's own tools.

In: the tables contexts, activations, explanations, predictions and examples of a run. Out: a folder
with `latents`, `explanations` and `scores` (see `delphi_runs.layout`), there whole or not at all.

1. Each bucket of latents is a split file; activations are exact, as both keep half precision.
2. An explanation is a file, a failure of the explainer Delphi's sentence for one. Delphi's layout
   has room for one explanation of a latent, so of several one kind must be chosen.
3. A score file lists the latent's windows. Those that are not in the lake, as an import's, are
   written without tokens.

Delphi's contexts all have one length: where the corpus ended early, the last context and its
activations are left out, and counted.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from tqdm import tqdm

from delphi_assets.buckets import Bucket, bucket_ranges
from delphi_assets.database import connect, query
from delphi_assets.delphi_runs.layout import UNPARSED, SplitFile
from delphi_assets.delphi_runs.splits import Array, Entries, write_split
from delphi_assets.errors import DataError, NotReadyError, SettingError
from delphi_assets.lake import Lake, Manifest, Unit, read_parquet
from delphi_assets.llm import failures
from delphi_assets.stage import StageReport

_LATENTS_AT_ONCE = 1024


@dataclass(frozen=True)
class Chosen:
    """Which explanations and judges to export; None where there is nothing to choose from."""

    selection: str | None = None
    explainer: str | None = None
    explainer_model: str | None = None
    scorer_model: str | None = None


@dataclass(frozen=True)
class _Corpus:
    """Tokens [n_contexts, ctx_len] int32, the settings that made them, and tokens left out."""

    tokens: Array
    config: dict[str, Any]
    n_left_out: int


def export_run(
    lake: Lake, run: str, folder: str | Path, chosen: Chosen | None = None
) -> StageReport:
    """Write a run of `lake` as Delphi's `results/<name>` to `folder`; rows are activations.

    Raises `DataError` when the folder has something in it, `NotReadyError` for a run that is not
    there or not whole, `SettingError` when a latent has several explanations or judges to choose
    from.
    """
    started, folder = time.perf_counter(), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not empty; expected a new folder. Name another one.")
    manifests = lake.manifests("activations", run=run)
    if not manifests:
        raise NotReadyError(
            f"{lake!r} holds no activations of run {run!r}; check the name (--run)."
        )
    corpus = _read_corpus(lake, run)
    hookpoints = sorted({str(manifest.keys["hookpoint"]) for manifest in manifests})
    con = connect(lake)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    rows = n_explanations = n_predictions = 0
    try:
        for hookpoint in hookpoints:
            exported = _Hookpoint(lake, con, run, hookpoint, made, chosen or Chosen())
            rows += exported.write_latents(corpus)
            ids = exported.write_explanations()
            n_explanations += len(ids)
            n_predictions += exported.write_scores(ids)
        made.chmod(0o755)
        os.replace(made, folder)
    finally:
        con.close()
        shutil.rmtree(made, ignore_errors=True)
    return StageReport(
        rows=rows,
        new_rows=rows,
        seconds=time.perf_counter() - started,
        bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        facts={
            "hookpoints": len(hookpoints),
            "tokens": int(corpus.tokens.size),
            "tokens_left_out": corpus.n_left_out,
            "explanations": n_explanations,
            "predictions": n_predictions,
        },
    )


def _read_corpus(lake: Lake, run: str) -> _Corpus:
    manifests = sorted(lake.manifests("contexts", run=run), key=_shard)
    config = manifests[0].config if manifests else {}
    n_shards = -(-config["cache.n_tokens"] // config["cache.shard_tokens"]) if config else 1
    if len(manifests) < n_shards:
        raise NotReadyError(
            f"{lake!r} holds {len(manifests)} of {n_shards} token shards of the contexts of run "
            f"{run!r}; materialize the asset 'contexts' first."
        )
    files = [lake.location(file) for manifest in manifests for file in manifest.files]
    contexts = read_parquet(lake, files, ["context", "tokens"]).sort_by("context")
    tokens = contexts["tokens"].combine_chunks().flatten().to_numpy().astype(np.int32)
    ctx_len = config["cache.cache_ctx_len"]
    n_contexts = len(tokens) // ctx_len
    whole = tokens[: n_contexts * ctx_len].reshape(n_contexts, ctx_len)
    return _Corpus(whole, config, len(tokens) - whole.size)


def _shard(manifest: Manifest) -> int:
    return int(manifest.keys["shard"] or 0)


@dataclass(frozen=True)
class _Hookpoint:
    """One hookpoint's part of the export."""

    lake: Lake
    con: duckdb.DuckDBPyConnection
    run: str
    hookpoint: str
    folder: Path
    chosen: Chosen

    def write_latents(self, corpus: _Corpus) -> int:
        """Write split files and configuration; returns the activations written."""
        folder = self.folder / "latents" / self.hookpoint
        folder.mkdir(parents=True)
        rows = n_splits = 0
        for bucket in tqdm(self._buckets(), desc=f"export {self.hookpoint}", unit="file"):
            path = folder / f"{bucket.first}_{bucket.last - 1}.safetensors"
            entries = self._entries(bucket.number, corpus.tokens.size)
            write_split(SplitFile(path, bucket.first, bucket.last), entries, corpus.tokens)
            rows, n_splits = rows + len(entries.latents), n_splits + 1
        config = corpus.config
        settings = {
            "dataset_repo": config["corpus.dataset_repo"],
            "dataset_split": config["corpus.dataset_split"],
            "dataset_name": config["corpus.dataset_name"] or "",
            "dataset_column": config["corpus.dataset_column"],
            "cache_ctx_len": config["cache.cache_ctx_len"],
            "n_tokens": int(corpus.tokens.size),
            "n_splits": n_splits,
            "model_name": config["model.name"],
        }
        (folder / "config.json").write_text(json.dumps(settings, indent=4), encoding="utf-8")
        return rows

    def write_explanations(self) -> set[str]:
        """Write explanation files; returns the ids of what they hold."""
        rows = query(
            self.con,
            "delphi/explanations",
            run=self.run,
            hookpoint=self.hookpoint,
            selection=self.chosen.selection,
            explainer=self.chosen.explainer,
            model=self.chosen.explainer_model,
        ).to_pylist()
        folder, ids = self.folder / "explanations", set()
        for latent, group in groupby(rows, key=lambda row: int(row["latent"])):
            held = list(group)
            _only_one(held, ("selection", "explainer", "model"), self.hookpoint, latent)
            (row,) = held
            if row["explanation"] is None and row["failure"] != failures.UNPARSEABLE:
                continue
            text = UNPARSED if row["explanation"] is None else row["explanation"]
            _write_json(folder / f"{self._name(latent)}.txt", text)
            ids.add(row["explanation_id"])
        return ids

    def write_scores(self, ids: set[str]) -> int:
        """Write score files of these explanations; returns the predictions in them."""
        written = 0
        for row in self._latent_scores():
            mine = [item for item in row if item["explanation_id"] in ids]
            if not mine:
                continue
            scorer, latent = mine[0]["scorer"], mine[0]["latent"]
            _only_one(mine, ("model", "judge_hash"), self.hookpoint, latent)
            path = self.folder / "scores" / scorer / f"{self._name(latent)}.txt"
            _write_json(path, [_item(item) for item in mine])
            written += len(mine)
        return written

    def _latent_scores(self) -> Iterator[list[dict[str, Any]]]:
        """Predictions of a latent by a scorer, one latent and scorer after the other."""
        for first in range(0, self._num_latents(), _LATENTS_AT_ONCE):
            rows = query(
                self.con,
                "delphi/predictions",
                run=self.run,
                hookpoint=self.hookpoint,
                first=first,
                last=first + _LATENTS_AT_ONCE,
                model=self.chosen.scorer_model,
            ).to_pylist()
            for _, group in groupby(rows, key=lambda row: (row["latent"], row["scorer"])):
                yield list(group)

    def _name(self, latent: int) -> str:
        return f"{self.hookpoint}_latent{latent}"

    def _num_latents(self) -> int:
        weights = self.lake.manifest(Unit("weights", self._keys))
        if weights is None:
            raise NotReadyError(
                f"{self.lake!r} holds no weights of run {self.run!r} at {self.hookpoint!r}; "
                "materialize the asset 'sparse_coder' first."
            )
        return weights.rows

    @property
    def _keys(self) -> dict[str, str | int]:
        return {"run": self.run, "hookpoint": self.hookpoint}

    def _buckets(self) -> list[Bucket]:
        """The buckets that hold latents; raises `NotReadyError` unless every shard is there."""
        manifests = self.lake.manifests("activations", **self._keys)
        config = manifests[0].config
        n_shards = -(-config["cache.n_tokens"] // config["cache.shard_tokens"])
        if len(manifests) < n_shards:
            raise NotReadyError(
                f"{self.lake!r} holds {len(manifests)} of {n_shards} token shards of run "
                f"{self.run!r} at {self.hookpoint!r}; materialize the missing partitions of the "
                "asset 'activations' first."
            )
        buckets = bucket_ranges(self._num_latents(), config["cache.n_buckets"])
        return [bucket for bucket in buckets if bucket.first < bucket.last]

    def _entries(self, bucket: int, n_positions: int) -> Entries:
        """The activations of a bucket on the positions that are exported."""
        files = self.lake.bucket_files(self.run, self.hookpoint)[bucket]
        rows = read_parquet(self.lake, files).combine_chunks()
        latents, positions, activations = (
            rows[name].to_numpy() for name in ("latent", "position", "activation")
        )
        kept = positions < n_positions
        return Entries(latents[kept], positions[kept], activations[kept])


def _only_one(
    rows: list[dict[str, Any]], names: tuple[str, ...], hookpoint: str, latent: int
) -> None:
    """Refuse rows that differ in what makes them, as Delphi's layout has one file for all."""
    kinds = sorted({tuple(str(row[name]) for name in (*names, "explanation_id")) for row in rows})
    if len(kinds) > 1:
        shown = "; ".join(
            ", ".join(f"{name} = {value!r}" for name, value in zip(names, kind, strict=False))
            for kind in kinds
        )
        raise SettingError(
            f"latent {latent} of {hookpoint!r} has {len(kinds)} answers to choose from, but "
            f"Delphi's layout has room for one: {shown}. Choose with --selection, --explainer, "
            "--explainer-model or --scorer-model."
        )


def _item(row: dict[str, Any]) -> dict[str, Any]:
    """A window as Delphi's score files hold it."""
    truth, prediction, quantile = row["truth"], row["prediction"], row["quantile"]
    return {
        "str_tokens": row["str_tokens"] or [],
        "activations": row["activations"] or [],
        "distance": quantile if truth and quantile is not None else -1,
        "activating": truth,
        "prediction": prediction,
        "probability": row["probability"],
        "correct": None if prediction is None else prediction == truth,
    }


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
