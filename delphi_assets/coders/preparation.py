"""Having a hookpoint's coder ready: trained if the profile says so, and described by its weights.

In: a profile, a hookpoint, and for `embedded:train` the table `contexts`. Out: the table `weights`,
and a trained coder in the lake in sparsify's layout, read by the same loader as anybody's.

Files of a trained coder's folder are published by name and `sae.safetensors` comes last, so a
folder that has it is whole: a run interrupted after training does not train again.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch.nn import functional

from delphi_assets import preflight
from delphi_assets.coders import load_coder
from delphi_assets.coders.coder import Coder
from delphi_assets.coders.sparsify import WEIGHTS as WEIGHTS_FILE
from delphi_assets.contexts import run_config
from delphi_assets.errors import NotReadyError
from delphi_assets.lake import File, Lake, Unit
from delphi_assets.preflight import TRAIN
from delphi_assets.schema import WEIGHTS
from delphi_assets.settings import Profile
from delphi_assets.stage import StageReport
from delphi_assets.subject import load_subject

_FACTS_FILE = "facts.json"


def prepare_coder(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    """Train the hookpoint's coder if needed and write its weights' table, unless that is there.

    Facts are the coder's size and, for a trained one, its `TrainingFacts`. Raises `NotReadyError`
    without contexts to train on, `DataError` for a coder that cannot be read, `ConflictError` for
    data made with other settings, and what `preflight.check` raises.
    """
    started = time.perf_counter()
    unit = Unit("weights", {"run": profile.run.name, "hookpoint": hookpoint})
    config, new_rows = _config(profile), 0
    manifest = lake.ready(unit, config)
    if manifest is None:
        preflight.check(profile)
        lake.claim_run(profile.run.name, run_config(profile))
        facts: dict[str, Any] = {}
        if profile.coder.sparse_model == TRAIN:
            facts = _trained(profile, lake, hookpoint)
        coder = load_prepared(profile, lake, hookpoint)
        rows = _rows(coder)
        facts = {"d_in": coder.shape.d_in, "side": coder.shape.side, **facts}
        facts["num_latents"] = new_rows = coder.shape.num_latents
        manifest = lake.publish(unit, [File(rows)], config, facts)
    seconds = time.perf_counter() - started
    return StageReport(manifest.rows, new_rows, seconds, manifest.bytes, manifest.facts)


@contextmanager
def coder_source(profile: Profile, lake: Lake, hookpoint: str) -> Iterator[str | Path]:
    """Where the hookpoint's coder can be loaded from: the profile's, or a trained one's folder.

    Raises `NotReadyError` when it is to be trained and has not been.
    """
    if profile.coder.sparse_model != TRAIN:
        yield profile.coder.sparse_model
        return
    folder = _folder(profile, hookpoint)
    if not lake.exists(f"{folder}/{WEIGHTS_FILE}"):
        raise NotReadyError(
            f"{lake!r} holds no trained coder of hookpoint {hookpoint!r} in run "
            f"{profile.run.name!r}; materialize the asset 'sparse_coder' first."
        )
    with lake.local_copy(folder) as copy:
        yield copy


def load_prepared(
    profile: Profile, lake: Lake, hookpoint: str, device: torch.device | str = "cpu"
) -> Coder:
    """The hookpoint's coder in single precision, whoever trained it; raises as `coder_source`."""
    with coder_source(profile, lake, hookpoint) as source:
        return load_coder(source, hookpoint, device)


def _config(profile: Profile) -> Mapping[str, Any]:
    """The settings that change the coder: all of the run's when it is trained on the run."""
    config = run_config(profile)
    if profile.coder.sparse_model == TRAIN:
        return config
    return {name: value for name, value in config.items() if name.startswith("coder.")}


def _folder(profile: Profile, hookpoint: str) -> str:
    return f"coders/run={profile.run.name}/{hookpoint}"


def _trained(profile: Profile, lake: Lake, hookpoint: str) -> dict[str, Any]:
    """Facts of the hookpoint's trained coder, training it first if it is not in the lake."""
    from delphi_assets.coders.training import train_coder

    folder = _folder(profile, hookpoint)
    if not lake.exists(f"{folder}/{WEIGHTS_FILE}"):
        module = preflight.check(profile)[hookpoint].module
        with tempfile.TemporaryDirectory() as made:
            subject = load_subject(profile.model)
            facts = asdict(train_coder(profile, lake, subject, module, Path(made)))
            (Path(made) / _FACTS_FILE).write_text(json.dumps(facts, indent=1), encoding="utf-8")
            lake.put_folder(Path(made), folder)
    with lake.local_copy(folder) as copy:
        stored: dict[str, Any] = json.loads((copy / _FACTS_FILE).read_text(encoding="utf-8"))
    return stored


def _rows(coder: Coder) -> pa.Table:
    encoder, decoder = coder.encoder_rows.float(), coder.decoder_rows.float()
    return pa.table(
        {
            "latent": torch.arange(len(encoder), dtype=torch.int32).numpy(),
            "decoder_norm": decoder.norm(dim=1).numpy(),
            "encoder_norm": encoder.norm(dim=1).numpy(),
            "encoder_decoder_cosine": functional.cosine_similarity(encoder, decoder).numpy(),
            "encoder_bias": coder.encoder_bias.float().numpy(),
        },
        schema=WEIGHTS.arrow,
    )
