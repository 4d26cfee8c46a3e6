"""Import of a Delphi run: its files become tables of the lake, whole or not at all.

In: `results/<name>` or a bare `latents` folder. Out: the tables contexts, vocabulary, weights,
activations, explanations and predictions, and a profile with which the later stages go on.

1. Every file is read and checked (`source`); nothing is written before the last one is good.
2. What the lake has of this run must be from the same files, as hashes of tokens and activations
   say; answers of scorers are compared with the files.
3. The run's name is claimed with the settings that Delphi's configurations say (`profiles`).
4. Corpus and activations are written (`imported_corpus`, `imported_activations`), as far as an
   interrupted import did not: it continues at the first bucket that is missing.
5. Explanations and scores that the lake lacks are added (`imported_texts`). Another text is another
   explanation, with scores of its own.

Delphi takes BOS out of the text and drops no activation on special tokens, so the run is one with
`cache.filter_bos` off. Memory is that of the tokens, one split file and one bucket: it grows with
the largest file, see `imported_activations`.
"""

import time
from pathlib import Path

from delphi_assets.caching.published import published_buckets
from delphi_assets.delphi_runs.imported_activations import (
    missing_buckets,
    write_activations,
    write_weights,
)
from delphi_assets.delphi_runs.imported_corpus import check_corpus, write_corpus
from delphi_assets.delphi_runs.imported_texts import check_texts, write_texts
from delphi_assets.delphi_runs.layout import DelphiRun, read_layout
from delphi_assets.delphi_runs.profiles import imported_profile
from delphi_assets.delphi_runs.source import check_source
from delphi_assets.delphi_runs.texts import LEFT_OUT
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import RunPlace
from delphi_assets.settings.profile_files import profile_toml


@terminable()
def import_run(folder: str | Path, lake: Lake, run: str) -> StageReport:
    """Read a Delphi run into `lake` under the name `run`; rows are activations.

    The fact `profile` is where the lake holds a profile of the run, `str_tokens` whether its tokens
    have their texts, `left_out` what has no table to go to; explanations and predictions are
    counted in the lake. Raises `DataError` naming the file that is not as it should be,
    `SettingError` for a name that cannot be one, `ConflictError` when the name stands for another
    run, `StorageError` when the lake cannot be written.
    """
    started = time.perf_counter()
    source = check_source(read_layout(Path(folder)))
    profile = imported_profile(source.delphi, source.tokens.size, lake, run)
    place = RunPlace(profile, lake)
    check_corpus(place, source)
    missing = [missing_buckets(place.at(one.cached.hookpoint), one) for one in source.hookpoints]
    check_texts(lake, source, run)
    lake.claim_run(run, profile.run_config())
    write_corpus(place, source)
    new_rows = 0
    for held, buckets in zip(source.hookpoints, missing, strict=True):
        at = place.at(held.cached.hookpoint)
        write_weights(at, held.cached)
        new_rows += write_activations(at, source, held, buckets)
    counts = write_texts(lake, source, run)
    manifests = [
        manifest
        for hookpoint in profile.cache.hookpoints
        for manifest in published_buckets(place.at(hookpoint))
    ]
    return StageReport(
        rows=sum(manifest.rows for manifest in manifests),
        new_rows=new_rows,
        seconds=time.perf_counter() - started,
        bytes=sum(manifest.bytes for manifest in manifests),
        facts={
            "hookpoints": len(source.hookpoints),
            "tokens": int(source.tokens.size),
            **counts._asdict(),
            "str_tokens": "ids only" if source.tokenizer is None else "texts",
            "left_out": _left_out(source.delphi),
            "profile": _write_profile(place),
        },
    )


def _left_out(delphi: DelphiRun) -> str:
    names = [*delphi.left_out, *([LEFT_OUT] if any(delphi.scores.values()) else [])]
    return ", ".join(names) or "nothing"


def _write_profile(place: RunPlace) -> str:
    """Put the profile into the lake, where it is not; returns its location."""
    path = f"profiles/{place.run}/profile.toml"
    place.lake.create_text(path, profile_toml(place.profile, "import-delphi"))
    return place.lake.location(path)
