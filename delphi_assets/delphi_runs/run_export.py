"""Export of a run as Delphi's `results/<name>`, for Delphi's own tools.

In: the tables contexts, activations, explanations, predictions and examples of a run. Out: a folder
with `latents` (`exported_latents`), `explanations` and `scores` (`exported_texts`) in the layout of
`layout`, there whole or not at all.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

from safetensors import SafetensorError

from delphi_assets.delphi_runs.exported_latents import read_corpus, write_latents
from delphi_assets.delphi_runs.exported_texts import Chosen, HookpointTexts
from delphi_assets.errors import DataError, NotReadyError, StorageError
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.database import connect
from delphi_assets.lake.lake import Lake, Manifest

__all__ = ["Chosen", "export_run"]


@terminable()
def export_run(
    lake: Lake, run: str, folder: str | Path, chosen: Chosen | None = None
) -> StageReport:
    """Write a run of `lake` as Delphi's `results/<name>` to `folder`; rows are activations.

    The facts count what is left out, see `exported_latents`. Raises `DataError` when the folder has
    something in it or a file of the lake has changed, `NotReadyError` for a run that is not there
    or not whole, `SettingError` when a latent has several explanations or judges to choose from,
    `StorageError` when the folder cannot be written.
    """
    folder = Path(folder)
    try:
        return _export(lake, run, folder, chosen or Chosen())
    except (OSError, SafetensorError) as error:
        raise StorageError(
            f"{folder} cannot be written ({error}); expected room and permission to write. Nothing "
            "is left there: mend it, or name another folder, and export again."
        ) from error


def _export(lake: Lake, run: str, folder: Path, chosen: Chosen) -> StageReport:
    started = time.perf_counter()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not empty; expected a new folder. Name another one.")
    hookpoints = _hookpoints(lake, run)
    corpus = read_corpus(lake, run)
    con = connect(lake)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    rows = n_left_out = n_explanations = n_predictions = 0
    try:
        for hookpoint, buckets in hookpoints.items():
            num_latents = int(buckets[0].facts["num_latents"])
            written = write_latents(
                lake, buckets, num_latents, corpus, made / "latents" / hookpoint
            )
            texts = HookpointTexts(con, run, hookpoint, num_latents, made, chosen)
            ids = texts.write_explanations()
            rows, n_left_out = rows + written.rows, n_left_out + written.n_left_out
            n_explanations += len(ids)
            n_predictions += texts.write_scores(ids)
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
            "activations_left_out": n_left_out,
            "explanations": n_explanations,
            "predictions": n_predictions,
        },
    )


def _hookpoints(lake: Lake, run: str) -> dict[str, list[Manifest]]:
    """What is known of the buckets of every hookpoint, by its name."""
    found: dict[str, list[Manifest]] = {}
    for manifest in lake.manifests("activations", run=run):
        found.setdefault(str(manifest.keys["hookpoint"]), []).append(manifest)
    if not found:
        raise NotReadyError(
            f"{lake!r} holds no activations of run {run!r}; check the name (--run)."
        )
    return found
