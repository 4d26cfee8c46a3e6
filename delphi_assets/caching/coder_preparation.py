"""Having a hookpoint's coder ready: trained if the profile says so, and described by its weights.

In: a profile, a hookpoint, and for `embedded:train` the table `contexts`. Out: the table `weights`,
and a trained coder in the lake in sparsify's layout, read by the same loader as anybody's.

A floor (`coders.floors`) is made from the coder of `coder.sparse_model`, which is trained for it
where it has to be and nobody has yet. Of the floor only the table is kept: it is made anew whenever
it is read.

A trained coder's folder comes into a local lake whole and stays: a run interrupted after training
does not train again, and of two that train at once both go on with the first one's coder. On a
remote lake its files come one by one, and a folder that lacks some is refused.

The table describes the coder in single precision, whatever `coder.dtype` captures with. Its facts
hold the coder's fingerprint, by which `caching.prepared_coder` knows it again.
"""

import json
import logging
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch.nn import functional

from delphi_assets.caching import origins, preflight
from delphi_assets.caching.prepared_coder import (
    check_fingerprint,
    check_unchanged,
    files_here,
    load_prepared,
    read_at,
    trained_folder,
)
from delphi_assets.coders.coder import Coder
from delphi_assets.errors import DataError
from delphi_assets.ground.foreign_json import parse_json
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import File, Lake
from delphi_assets.lake.manifests import FINGERPRINT, Manifest
from delphi_assets.lake.place import Place
from delphi_assets.lake.schema import WEIGHTS
from delphi_assets.lake.units import weights_unit
from delphi_assets.lake.versions import changes, data_version
from delphi_assets.models.subject import load_subject
from delphi_assets.settings import FLOORS, TRAIN, Profile

_MADE_WITH_CODER = ("captured", "activations")
"""Tables whose units of a hookpoint hold the fingerprint of its coder."""

_READING_A_CODER = (
    "coder.sparse_model",
    "coder.format",
    "coder.options",
    "coder.transcoder_subtracts_b_dec",
)
"""Settings that change a coder that is there."""

_FACTS_FILE = "facts.json"

log = logging.getLogger(__name__)


@terminable()
def prepare_coder(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    """Train the hookpoint's coder if needed and write its weights' table, unless that is there.

    One that an earlier version of the code wrote is written again, of the same coder.

    Facts are the coder's size and fingerprint and, for a trained one, its `TrainingFacts`. Raises
    `NotReadyError` without contexts to train on, `DataError` for a coder that cannot be read,
    `ConflictError` for data made with other settings or another coder or model, and what
    `preflight.check` raises.
    """
    started = time.perf_counter()
    profile = lake.as_made(profile)
    place, unit = Place(profile, lake, hookpoint), weights_unit(profile.run.name, hookpoint)
    config, new_rows = weights_config(place), 0
    described = place.weights()
    manifest = lake.whole(described, config)
    check_unchanged(place, described)
    if outdated := _outdated(manifest):
        manifest = None
    if manifest is None:
        checked = preflight.check(profile)
        lake.claim_run(profile.run.name, profile.run_config())
        facts: dict[str, Any] = {}
        floor = profile.sparse_model_of(hookpoint) in FLOORS
        if _trains(place):
            trained = _trained(read_at(place), checked[hookpoint].module)
            facts = origins.model_facts(profile.model) | ({} if floor else trained)
        coder = load_prepared(place)
        for table in _MADE_WITH_CODER:
            for made in lake.manifests(table, **unit.keys):
                check_fingerprint(place, made, coder.fingerprint)
        facts = {
            "d_in": coder.shape.d_in,
            "side": coder.shape.side,
            FINGERPRINT: coder.fingerprint,
            **origins.coder_facts(files_here(place), floor=floor),
            **facts,
        }
        facts["num_latents"] = new_rows = coder.shape.num_latents
        rows = [File(_rows(coder))]
        manifest = lake.publish(unit, rows, config, facts, versioned=outdated)
    return StageReport(
        rows=manifest.rows,
        new_rows=new_rows,
        seconds=time.perf_counter() - started,
        bytes=manifest.bytes,
        facts=manifest.facts,
        data_version=data_version([manifest]),
        code_versions=(manifest.code,),
    )


def _outdated(manifest: Manifest | None) -> bool:
    """Whether the weights come out otherwise now; those of imported runs have no coder here."""
    if manifest is None or FINGERPRINT not in manifest.facts:
        return False
    if told := changes(manifest):
        log.warning("%s is written again: %s", manifest.unit, "; ".join(told))
    return bool(told)


def weights_config(place: Place) -> dict[str, object]:
    """The settings that change the hookpoint's coder: all of the run's when it is trained on it."""
    config = place.config
    if _trains(place):
        return {name: value for name, value in config.items() if name != "coder.dtype"}
    return {name: config[name] for name in _READING_A_CODER if name in config}


def _trains(place: Place) -> bool:
    """Whether the hookpoint's coder is trained on the run, or made from one that is."""
    return place.profile.sparse_model_of(read_at(place).hookpoint) == TRAIN


def _trained(place: Place, module: str) -> dict[str, Any]:
    """Facts of the hookpoint's trained coder, training it first if it is not in the lake."""
    from delphi_assets.caching.coder_training import train_coder

    lake, folder = place.lake, trained_folder(place)
    if not lake.exists(folder):
        with tempfile.TemporaryDirectory() as made:
            subject = load_subject(place.profile.model)
            facts = asdict(train_coder(place, subject, module, Path(made)))
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
