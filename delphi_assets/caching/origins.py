"""What a run was made from, and whether it still is the same: coders, models, corpus, tokenizer.

In: facts of manifests, and files on this machine. Out: nothing, or a `ConflictError` that names
what was replaced, both fingerprints and the way out.

Somebody trains a coder again and saves it where the old one was. The run keeps the old one's data,
so every stage looks, also one that has nothing left to do:

1. Coder and model are compared by the content of their files, which `machine_cache` knows without
   reading them again while their sizes and times are the same (`check_coder`, `check_model`).
2. Corpus and tokenizer are compared by size and time (`contexts_origin`). Where these differ,
   `contexts` reads them again, and the same tokens are the same corpus.
3. A judge that is a model in a folder is compared with what was there when the run first used it
   (`replaced_judge`): another one's answers are others, and no data have to be made again.

What is not on this machine cannot be compared, and a manifest of an earlier version may lack a
fact: neither is a reason to refuse. A dataset of the hub is not asked for.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from delphi_assets.caching.corpus import PYTHON_DOCS
from delphi_assets.errors import ConflictError
from delphi_assets.ground.local_paths import is_file, is_folder, local_path
from delphi_assets.ground.machine_cache import fingerprint
from delphi_assets.lake.lake import Lake, Manifest
from delphi_assets.lake.manifests import FINGERPRINT
from delphi_assets.lake.place import Place
from delphi_assets.lake.units import bucket_unit, captured_unit
from delphi_assets.models.embedded import GEMMA, GGUF_SHA256
from delphi_assets.settings import CorpusSettings, ModelSettings, Profile

MODEL_FINGERPRINT = "model_fingerprint"
"""Fact of what the model was run for: the fingerprint of its configuration and weights."""

_FOLDER, _FILES = "coder_folder", "coder_files"
"""Facts of the table weights: where the coder's files were, and their names."""

_MADE_FROM = "coder_made_from"
"""Fact of the table weights of a floor: the fingerprint of the coder that it is made from."""

_WEIGHTS = (("model*.safetensors", "adapter_model*.safetensors"), ("pytorch_model*.bin",))
"""Files of a model's weights; later ones count where there are no earlier ones."""

_JUDGE = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")
"""Files of a model that judges, in its folder and those of its modules."""

_SHARDS_LOOKED_AT = 8
"""There may be a million, and each is a file to read."""

_TOKENIZER = (
    "added_tokens.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.*",
    "*.model",
    "*.tiktoken",
)


class ContextsOrigin(NamedTuple):
    """What contexts were read from, as it looks from outside; None for what is not here."""

    corpus: str | None
    tokenizer: str | None

    def looks_like(self, other: "ContextsOrigin") -> bool:
        """Whether nothing tells them apart."""
        pairs = zip(self, other, strict=True)
        return all(None in (mine, theirs) or mine == theirs for mine, theirs in pairs)


def coder_facts(files: Sequence[Path], *, floor: bool = False) -> dict[str, str]:
    """Facts by which `check_coder` finds a coder's files; all of them are in one folder.

    A floor's are those of the coder it is made from, whose fingerprint is another one.
    """
    if not files:
        return {}
    made_from = {_MADE_FROM: fingerprint(files)} if floor else {}
    names = ", ".join(file.name for file in files)
    return {_FOLDER: str(files[0].parent.absolute()), _FILES: names, **made_from}


def check_coder(place: Place) -> Manifest | None:
    """Refuse to go on when the hookpoint's coder is another one than its table weights describes.

    Returns what is known of that table. Raises `ConflictError`.
    """
    made = place.weights()
    if made is None or not {_FOLDER, _FILES, FINGERPRINT} <= made.facts.keys():
        return made
    files = [Path(made.facts[_FOLDER], name) for name in made.facts[_FILES].split(", ")]
    there = all(file.is_file() for file in files)
    known = made.facts.get(_MADE_FROM, made.facts[FINGERPRINT])
    if there and (now := fingerprint(files)) != known:
        raise replaced_coder(place.hookpoint, made.facts[_FOLDER], made, now, known)
    return made


def replaced_coder(
    hookpoint: str, where: str, made: Manifest, now: str, known: object = None
) -> ConflictError:
    """The error for a coder `where` that is not the one `made` was made from, which had `known`."""
    what = f"the coder of hookpoint {hookpoint!r} ({where})"
    return _replaced(what, made, known or made.facts.get(FINGERPRINT), now)


def model_fingerprint(settings: ModelSettings) -> str | None:
    """SHA-256 over the model's configuration and weights; None where it is not on this machine."""
    if settings.name == GEMMA:
        return GGUF_SHA256
    folder = _model_folder(settings)
    if folder is None:
        return None
    for patterns in _WEIGHTS:
        if weights := _matching(folder, patterns):
            return fingerprint([*_matching(folder, ["config.json"]), *weights])
    return None


def model_facts(settings: ModelSettings) -> dict[str, str]:
    """The fact by which `check_model` knows the model; none where its files are not found."""
    found = model_fingerprint(settings)
    return {} if found is None else {MODEL_FINGERPRINT: found}


def check_model(place: Place, weights: Manifest | None) -> None:
    """Refuse to go on when data of the hookpoint were made with another model than is there now.

    Looks at the `weights` and a few other units: that all shards are of one model is asked when
    they are merged. Raises `ConflictError`.
    """
    model, n_shards = place.profile.model, min(place.profile.n_shards, _SHARDS_LOOKED_AT)
    units = [
        bucket_unit(place.run, place.hookpoint, 0),
        *(captured_unit(place.run, place.hookpoint, shard) for shard in range(n_shards)),
    ]
    made = [weights, *map(place.lake.manifest, units)]
    told = [
        manifest
        for manifest in made
        if manifest is not None and manifest.facts.get(MODEL_FINGERPRINT) is not None
    ]
    now = model_fingerprint(model) if told else None
    for manifest in told:
        if now not in (None, manifest.facts[MODEL_FINGERPRINT]):
            what = f"the model (model.name = {model.name!r})"
            raise _replaced(what, manifest, manifest.facts[MODEL_FINGERPRINT], now)


def check_same_origin(made: Iterable[Manifest]) -> None:
    """Refuse to put units together that were made with different coders or models."""
    first: dict[str, Manifest] = {}
    for manifest in made:
        for fact in (FINGERPRINT, MODEL_FINGERPRINT):
            if (value := manifest.facts.get(fact)) is None:
                continue
            other = first.setdefault(fact, manifest)
            if other.facts[fact] != value:
                raise ConflictError(
                    f"{other.unit} was made with {fact} = {other.facts[fact]}, {manifest.unit} "
                    f"with {value}: a file was replaced between them. Give the run (run.name) "
                    "another name, and materialize it from 'contexts' on."
                )


def replaced_judge(lake: Lake, run: str, name: str) -> str | None:
    """Fingerprint of a judge's folder when it is not what the run first used under this name.

    The first look is noted, also for rows of earlier versions: what they were judged by, nobody
    knows. None where nothing has changed, and for a model that is not in a folder here.
    """
    folder = local_path(name)
    if not is_folder(folder):
        return None
    now = fingerprint(sorted({path for kind in _JUDGE for path in folder.rglob(kind)}))
    path = f"origins/run={run}/judge-{hashlib.sha256(name.encode()).hexdigest()[:12]}.json"
    lake.create_text(path, json.dumps({"judge": name, "fingerprint": now}, indent=1))
    first = lake.read_json(path) or {}
    return now if first.get("fingerprint") != now else None


def contexts_origin(profile: Profile) -> ContextsOrigin:
    """Corpus and tokenizer as they are now."""
    tokenizer = GGUF_SHA256 if profile.model.name == GEMMA else None
    if tokenizer is None and (folder := _model_folder(profile.model)) is not None:
        files = _matching(folder, _TOKENIZER)
        tokenizer = fingerprint(files) if files else None
    return ContextsOrigin(_corpus_signature(profile.corpus), tokenizer)


def looks_unchanged(lake: Lake, run: str, now: ContextsOrigin) -> bool:
    """Whether the run's contexts were read from what looks like `now`, or nothing says from what.

    The second holds for runs of earlier versions and imported ones.
    """
    known = _known(lake, run)
    return not known or any(now.looks_like(one) for one in known)


def note_origin(lake: Lake, run: str, now: ContextsOrigin) -> None:
    """Keep that the run's contexts are what `now` gives."""
    known = _known(lake, run)
    if now not in known and now != ContextsOrigin(None, None):
        lake.write_text(_path(run), json.dumps({"read": [*known, now]}, indent=1))


def _replaced(what: str, made: Manifest, stored: object, now: object) -> ConflictError:
    return ConflictError(
        f"{what} has fingerprint {now}, but {made.unit} was made from one with {stored}: its files "
        "were replaced. Restore them, or give the run (run.name) another name and materialize it "
        "from 'contexts' on."
    )


def _model_folder(settings: ModelSettings) -> Path | None:
    """The model's folder, or what was fetched of it from the hub."""
    if is_folder(folder := local_path(settings.name)):
        return folder
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    with suppress(OSError, ValueError, httpx.HTTPError, HFValidationError):
        fetched = snapshot_download(
            settings.name, revision=settings.revision, local_files_only=True
        )
        return Path(fetched)
    return None


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())


def _corpus_signature(corpus: CorpusSettings) -> str | None:
    """Of files their names, sizes and times; None for a corpus that is not here."""
    if corpus.dataset_repo == PYTHON_DOCS:
        return f"documentation of Python {platform.python_version()}"
    source = local_path(corpus.dataset_repo)
    if not is_folder(source):
        files = [source] if is_file(source) else []
    else:
        files = sorted(source.rglob("*"))
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            stat, name = file.stat(), os.fsencode(file.relative_to(source))
            digest.update(b"%s\0%d\0%d\0" % (name, stat.st_size, stat.st_mtime_ns))
    return digest.hexdigest() if files else None


def _known(lake: Lake, run: str) -> list[ContextsOrigin]:
    stored: dict[str, Any] = lake.read_json(_path(run)) or {}
    return [ContextsOrigin(*pair) for pair in stored.get("read", [])]


def _path(run: str) -> str:
    return f"origins/run={run}/contexts.json"
