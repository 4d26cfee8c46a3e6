"""Having a hookpoint's coder ready: trained if the profile says so, and described by its weights.

In: a profile, a hookpoint, and for `embedded:train` the table `contexts`. Out: the table `weights`,
and a trained coder in the lake in sparsify's layout, read by the same loader as anybody's.

A trained coder's folder comes into a local lake whole and stays: a run interrupted after training
does not train again, and of two that train at once both go on with the first one's coder. On a
remote lake its files come one by one, and a folder that lacks some is refused.

The table describes the coder in single precision, whatever `coder.dtype` captures with. Its facts
hold the coder's fingerprint. `load_described` refuses any other, and so does `check_unchanged`,
which loads nothing: what fires in one part of a run and in the next is of one coder, and a run that
is done does not pass for one of a coder that was trained again in the same place.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch.nn import functional

from delphi_assets.caching import origins, preflight
from delphi_assets.coders import files_at_hand, load_coder
from delphi_assets.coders.coder import Coder, Encoder
from delphi_assets.coders.sources import setting_of
from delphi_assets.errors import DataError, NotReadyError
from delphi_assets.ground.foreign_json import parse_json
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.machine_cache import fingerprint
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import File, Lake, Manifest
from delphi_assets.lake.manifests import FINGERPRINT
from delphi_assets.lake.schema import WEIGHTS
from delphi_assets.lake.units import weights_unit
from delphi_assets.models.subject import load_subject
from delphi_assets.settings import TRAIN, Profile

_MADE_WITH_CODER = ("captured", "activations")
"""Tables whose units of a hookpoint hold the fingerprint of its coder."""

_READING_A_CODER = ("coder.sparse_model", "coder.transcoder_subtracts_b_dec")
"""Settings that change a coder that is there."""

_FACTS_FILE = "facts.json"


@terminable()
def prepare_coder(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    """Train the hookpoint's coder if needed and write its weights' table, unless that is there.

    Facts are the coder's size and fingerprint and, for a trained one, its `TrainingFacts`. Raises
    `NotReadyError` without contexts to train on, `DataError` for a coder that cannot be read,
    `ConflictError` for data made with other settings or another coder or model, and what
    `preflight.check` raises.
    """
    started = time.perf_counter()
    profile = lake.as_made(profile)
    unit = weights_unit(profile, hookpoint)
    config, new_rows = weights_config(profile, hookpoint), 0
    manifest = lake.ready(unit, config)
    check_unchanged(profile, lake, hookpoint)
    if manifest is None:
        preflight.check(profile)
        lake.claim_run(profile.run.name, profile.run_config())
        facts: dict[str, Any] = {}
        if profile.sparse_model_of(hookpoint) == TRAIN:
            facts = _trained(profile, lake, hookpoint) | origins.model_facts(profile.model)
        coder = load_prepared(profile, lake, hookpoint)
        for table in _MADE_WITH_CODER:
            for made in lake.manifests(table, **unit.keys):
                _check_fingerprint(profile, made, hookpoint, coder.fingerprint)
        facts = {
            "d_in": coder.shape.d_in,
            "side": coder.shape.side,
            FINGERPRINT: coder.fingerprint,
            **origins.coder_facts(_files_here(profile, lake, hookpoint)),
            **facts,
        }
        facts["num_latents"] = new_rows = coder.shape.num_latents
        manifest = lake.publish(unit, [File(_rows(coder))], config, facts)
    seconds = time.perf_counter() - started
    return StageReport(manifest.rows, new_rows, seconds, manifest.bytes, manifest.facts)


def weights_config(profile: Profile, hookpoint: str) -> dict[str, object]:
    """The settings that change the hookpoint's coder: all of the run's when it is trained on it."""
    config = profile.hookpoint_config(hookpoint)
    if profile.sparse_model_of(hookpoint) == TRAIN:
        return {name: value for name, value in config.items() if name != "coder.dtype"}
    return {name: config[name] for name in _READING_A_CODER}


@contextmanager
def coder_source(profile: Profile, lake: Lake, hookpoint: str) -> Iterator[str | Path]:
    """Where the hookpoint's coder can be loaded from: the profile's, or a trained one's folder.

    Raises `NotReadyError` when it is to be trained and has not been.
    """
    source = profile.sparse_model_of(hookpoint)
    if source != TRAIN:
        yield source
        return
    folder = _folder(profile, hookpoint)
    if not lake.exists(folder):
        raise NotReadyError(
            f"{lake!r} holds no trained coder of hookpoint {hookpoint!r} in run "
            f"{profile.run.name!r}; materialize the asset 'sparse_coder' first."
        )
    with lake.local_copy(folder) as copy:
        yield copy


def load_prepared(
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Coder:
    """The hookpoint's coder, whoever trained it; raises as `coder_source` and `load_coder`."""
    with coder_source(profile, lake, hookpoint) as source:
        switch = profile.coder.transcoder_subtracts_b_dec
        return load_coder(source, hookpoint, device, dtype, switch)


def load_described(
    profile: Profile, lake: Lake, hookpoint: str, device: torch.device | str = "cpu"
) -> Encoder:
    """Encoder, in the precision `coder.dtype`, of `described_coder`; raises as that."""
    dtype = getattr(torch, profile.coder.dtype)
    return described_coder(profile, lake, hookpoint, device, dtype).encoder


def described_coder(
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Coder:
    """The coder that the hookpoint's table `weights` describes.

    Raises `NotReadyError` without that table, `ConflictError` when the coder has changed since,
    and what `coder_source` raises.
    """
    manifest = lake.manifest(weights_unit(profile, hookpoint))
    if manifest is None:
        raise NotReadyError(
            f"{lake!r} holds no weights of hookpoint {hookpoint!r} in run {profile.run.name!r}; "
            "materialize the asset 'sparse_coder' first."
        )
    coder = load_prepared(profile, lake, hookpoint, device, dtype)
    _check_fingerprint(profile, manifest, hookpoint, coder.fingerprint)
    return coder


def check_unchanged(profile: Profile, lake: Lake, hookpoint: str) -> None:
    """Refuse to go on when the hookpoint's data are of another coder or model than is there now.

    Costs a look at the files. What is not on this machine is not compared. Raises `ConflictError`.
    """
    origins.check_model(profile, lake, hookpoint)
    made = lake.manifest(weights_unit(profile, hookpoint))
    if made is None or FINGERPRINT not in made.facts:
        return
    if files := _files_here(profile, lake, hookpoint):
        _check_fingerprint(profile, made, hookpoint, fingerprint(files))


def _files_here(profile: Profile, lake: Lake, hookpoint: str) -> list[Path]:
    """The coder's files, where this machine has them without fetching any; else none."""
    source: str | Path = profile.sparse_model_of(hookpoint)
    if source == TRAIN:
        if not lake.local:
            return []
        source = Path(lake.root, _folder(profile, hookpoint))
    return files_at_hand(source, hookpoint)


def _check_fingerprint(profile: Profile, made: Manifest, hookpoint: str, now: str) -> None:
    if made.facts.get(FINGERPRINT) != now:
        where = f"{setting_of(hookpoint)} = {profile.sparse_model_of(hookpoint)!r}"
        raise origins.replaced_coder(hookpoint, where, made, now)


def _folder(profile: Profile, hookpoint: str) -> str:
    return f"coders/run={profile.run.name}/{hookpoint}"


def _trained(profile: Profile, lake: Lake, hookpoint: str) -> dict[str, Any]:
    """Facts of the hookpoint's trained coder, training it first if it is not in the lake."""
    from delphi_assets.caching.coder_training import train_coder

    folder = _folder(profile, hookpoint)
    if not lake.exists(folder):
        module = preflight.check(profile)[hookpoint].module
        with tempfile.TemporaryDirectory() as made:
            subject = load_subject(profile.model)
            facts = asdict(train_coder(profile, lake, subject, module, Path(made)))
            (Path(made) / _FACTS_FILE).write_text(json.dumps(facts, indent=1), encoding="utf-8")
            lake.put_folder(Path(made), folder)
    # Read from the lake even after training: another process may have been faster.
    with lake.local_copy(folder) as copy:
        try:
            stored: dict[str, Any] = parse_json((copy / _FACTS_FILE).read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(
                f"{lake.location(folder)} holds no readable {_FACTS_FILE} ({error}), so the coder "
                "trained there is not whole; delete the folder and materialize the asset "
                "'sparse_coder' again."
            ) from error
    return stored


def _rows(coder: Coder) -> pa.Table:
    encoder, decoder = coder.encoder_rows.float(), coder.decoder_rows.float()
    cosines = None
    if encoder.shape == decoder.shape:
        cosines = functional.cosine_similarity(encoder, decoder).numpy()
    return pa.table(
        {
            "latent": torch.arange(len(encoder), dtype=torch.int32).numpy(),
            "decoder_norm": decoder.norm(dim=1).numpy(),
            "encoder_norm": encoder.norm(dim=1).numpy(),
            # A transcoder between spaces of different width has no such cosine.
            "encoder_decoder_cosine": [None] * len(encoder) if cosines is None else cosines,
            "encoder_bias": coder.encoder_bias.float().numpy(),
        },
        schema=WEIGHTS.arrow,
    )
